"""Policies, found by file name: advisor/policies/X.py with a POLICY adds the policy X."""

import importlib
import pkgutil

from advisor.policy.base import Demanding, Policy
from knowledge.errors import BadInput


def names() -> tuple[str, ...]:
    """What --policy accepts."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__)))


def load(name: str) -> Policy:
    """The policy of this name. Raises BadInput."""
    if name not in names():
        raise BadInput(f"неизвестная политика {name!r}", "Есть: " + ", ".join(names()))
    policy: Policy = importlib.import_module(f"{__name__}.{name}").POLICY
    return policy


def require(name: str) -> None:
    """Before anything is measured: that there is such a policy, and whatever it needs. Raises
    BadInput."""
    policy = load(name)
    if isinstance(policy, Demanding):
        policy.require()
