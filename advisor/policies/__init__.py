"""Policies, found by file name: advisor/policies/X.py with a POLICY adds the policy X."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from knowledge.errors import BadInput

if TYPE_CHECKING:  # advisor.policy asks for policies by name and is imported by them
    from advisor.policy.base import Policy


def names() -> tuple[str, ...]:
    """What --policy accepts."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def load(name: str) -> "Policy":
    """The policy of this name. Raises BadInput."""
    if name not in names():
        raise BadInput(f"неизвестная политика {name!r}", "Есть: " + ", ".join(names()))
    policy: Policy = importlib.import_module(f"{__name__}.{name}").POLICY
    return policy


def require(name: str) -> None:
    """Before anything is measured: that there is such a policy, and whatever it needs. Raises
    BadInput."""
    from advisor.policy.base import Demanding

    policy = load(name)
    if isinstance(policy, Demanding):
        policy.require()
