"""Technique cards: what can be changed, when it helps, by how much, and who measured it."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from knowledge.conditions import evaluate, parse, render, templates
from knowledge.errors import BadInput
from knowledge.types import Artifact, Change, FlagValue, Frozen

_FOLDER = Path(__file__).parent / "techniques"

Regime = Literal["prefill-bound", "decode-bound", "kv-bound", "host-bound", "any"]


class Variant(Frozen):
    """One way to apply a technique on one engine. Strings may hold ${expressions}."""

    engine: str
    label: str
    flags: dict[str, FlagValue | None] = {}
    env: dict[str, str | None] = {}
    artifact: Artifact | None = None
    applies: str = "True"
    """A condition on top of the card's own."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.flags or self.env or self.artifact):
            raise ValueError(f"variant {self.label!r} changes nothing")
        for expression in (self.applies, *self._templates()):
            parse(expression)
        return self

    def _templates(self) -> list[str]:
        options = self.artifact.options.values() if self.artifact else ()
        values = (self.label, *self.flags.values(), *self.env.values(), *options)
        return [expression for value in values for expression in templates(value)]


class Effect(Frozen):
    """A speed-up as a ratio, above 1 is better, in one regime on one metric."""

    regime: Regime
    metric: Literal["throughput", "ttft", "tpot", "latency"]
    low: float = Field(gt=0)
    high: float = Field(gt=0)

    @model_validator(mode="after")
    def _upright(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"effect upside down: {self.low} > {self.high}")
        return self


class Cost(Frozen):
    """What a trial of it costs beyond the load itself."""

    restart: bool = True
    extra_s: float = Field(default=0.0, ge=0)


class Source(Frozen):
    """Where the claim comes from."""

    title: str
    date: date
    note: str = ""


class Verified(Frozen):
    """A measurement of the technique."""

    date: date
    hardware: str
    engine: str
    model: str
    workload: str
    result: str


class TechniqueCard(Frozen):
    """Everything known of one technique. Title, text and labels are Russian."""

    name: str
    title: str
    text: str
    topics: tuple[str, ...] = Field(min_length=1)
    applies: str = "True"
    changes: tuple[Variant, ...] = Field(min_length=1)
    effects: tuple[Effect, ...] = Field(min_length=1)
    quality_risk: Literal["none", "low", "medium", "high"]
    conflicts: tuple[str, ...] = ()
    cost: Cost = Cost()
    signals: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)
    verified_on: tuple[Verified, ...] = ()

    @model_validator(mode="after")
    def _condition_parses(self) -> Self:
        parse(self.applies)
        return self


def expand(card: TechniqueCard, facts: Mapping[str, object]) -> list[tuple[str, Change]]:
    """The changes that the card offers under these facts, each with its label.

    `facts["engine"]` picks the variants. Empty when the card does not apply. Raises ValueError
    when an expression names a fact that is not there.
    """
    variants = [variant for variant in card.changes if variant.engine == facts["engine"]]
    if not variants or not evaluate(card.applies, facts):
        return []
    return [
        (str(render(variant.label, facts)), _change(variant, facts))
        for variant in variants
        if evaluate(variant.applies, facts)
    ]


def load_cards(folder: Path = _FOLDER) -> tuple[TechniqueCard, ...]:
    """All cards of a folder in the order of their names. Raises BadInput for a broken one."""
    return _load(folder)


@lru_cache(maxsize=4)
def _load(folder: Path) -> tuple[TechniqueCard, ...]:
    cards = tuple(_read(path) for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem))
    names = {card.name for card in cards}
    for card in cards:
        unknown = sorted(set(card.conflicts) - names)
        if unknown:
            raise _broken(card.name, f"conflicts называет неизвестные карточки: {unknown}")
    return cards


def _read(path: Path) -> TechniqueCard:
    try:
        card = TechniqueCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise _broken(path.stem, " ".join(str(error).split())) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _broken(path.stem, f"{where}: {first['msg']}" if where else first["msg"]) from error
    if card.name != path.stem:
        raise _broken(path.stem, f"name: «{card.name}» не совпадает с именем файла")
    return card


def _broken(name: str, reason: str) -> BadInput:
    return BadInput(
        f"карточка {name}.yaml: {reason}", "Схема карточки описана в knowledge/cards.py"
    )


def _change(variant: Variant, facts: Mapping[str, object]) -> Change:
    artifact = variant.artifact
    if artifact:
        options = {name: render(value, facts) for name, value in artifact.options.items()}
        artifact = artifact.replace(options=options)
    env = {name: render(value, facts) for name, value in variant.env.items()}
    return Change(
        flags={name: render(value, facts) for name, value in variant.flags.items()},
        env={name: None if value is None else str(value) for name, value in env.items()},
        artifact=artifact,
    )
