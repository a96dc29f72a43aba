"""Well-known models: knowledge/architectures/*.yaml, what their config.json says and what they are.

Enough to plan for a model that is not on this machine; a folder with the model itself comes first.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from knowledge.errors import BadInput
from knowledge.files import first_problem, read_folder
from knowledge.model_facts import facts_from_config
from knowledge.names import Match, Mention, Names
from knowledge.provenance import Provenance
from knowledge.types import Frozen, ModelFacts

_FOLDER = Path(__file__).parent / "architectures"


class Architecture(Frozen):
    """A model as one file describes it."""

    stem: str
    hub: str
    """Its usual hub id, e.g. "Qwen/Qwen2.5-72B-Instruct"."""
    title: str
    """As people call it, e.g. "Qwen2.5 72B"."""
    config: dict[str, Any]
    """The fields of config.json that sizes depend on."""
    published_parameters: float
    """What the vendor says, in parameters, e.g. 7.24e9."""
    published_active: float | None = None
    """Of a mixture of experts: what one token passes through, as the vendor says."""
    beyond_parameters: float = 0.0
    """Of the published count, what the language model's own layers do not hold (vision, MTP)."""
    licence: str
    gated: bool = False
    """The hub asks for a login and an agreement before it gives the weights."""
    released: str = ""
    note: str = ""
    provenance: tuple[Provenance, ...]
    aliases: tuple[str, ...] = ()
    weight: int = 0

    @property
    def facts(self) -> ModelFacts:
        """The facts that formulas need. Raises BadModel for a broken config."""
        return _facts(self.stem)

    @property
    def is_moe(self) -> bool:
        return self.facts.experts > 0


def known_architectures() -> dict[str, Architecture]:
    """All by file name, in the order of the names. Raises BadInput for a broken file."""
    return _catalog()


def find_architecture(text: str) -> Match[Architecture]:
    """A model by any of its names: «70b», «llama 3.1 8b», «мистраль 7b», «gpt-oss-120b»."""
    return _names().find(text)


def architectures_in(text: str) -> list[Mention[Architecture]]:
    """The models that a sentence names."""
    return _names().mentions(text)


def require_architecture(name: str) -> Architecture:
    """The record of a model. Raises BadInput with the nearest names."""
    match = find_architecture(name)
    if match.found is None:
        near = match.near or tuple(list(_catalog())[:5])
        raise BadInput(
            f"модель «{name}» не найдена ни на диске, ни в каталоге архитектур",
            f"Похожие: {', '.join(near)}; или дайте папку с config.json",
        )
    return match.found


@lru_cache(maxsize=1)
def _catalog() -> dict[str, Architecture]:
    return {stem: _entry(stem, fields) for stem, fields in read_folder(_FOLDER).items()}


@lru_cache(maxsize=1)
def _names() -> Names[Architecture]:
    return Names(
        (entry.stem, (entry.hub, entry.hub.split("/")[-1], entry.title, *entry.aliases),
         entry.weight, entry)
        for entry in _catalog().values()
    )  # fmt: skip


@lru_cache(maxsize=256)
def _facts(stem: str) -> ModelFacts:
    return facts_from_config(_catalog()[stem].config)


def _entry(stem: str, fields: dict[str, Any]) -> Architecture:
    try:
        return Architecture(stem=stem, **fields)
    except (ValidationError, TypeError) as error:
        raise BadInput(
            f"architectures/{stem}.yaml: {first_problem(error)}",
            "Схема — Architecture в knowledge/known_models.py",
        ) from error
