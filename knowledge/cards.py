"""Technique cards: what can be changed, when it helps, by how much, and who measured it."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from knowledge.conditions import evaluate, parse, render, templates
from knowledge.errors import BadInput
from knowledge.files import first_problem, read_folder
from knowledge.types import Artifact, Change, FlagValue, Frozen

FOLDER = Path(__file__).parent / "techniques"

QUICK_START = "quick-start"
"""The topic of techniques that make an engine start faster, whatever they do to its speed."""

Regime = Literal["prefill-bound", "decode-bound", "kv-bound", "host-bound", "any"]

Kind = Literal["engine", "artifact", "deployment", "architecture", "training", "choice"]
"""What a technique changes: the engine's start, the checkpoint, what stands around the engine, what
the model is built like, what is trained, or what is bought. The loop applies the first two."""


class Variant(Frozen):
    """One way to apply a technique on one engine. Strings may hold ${expressions}."""

    engine: str
    label: str
    flags: dict[str, FlagValue | None] = {}
    env: dict[str, str | None] = {}
    artifact: Artifact | None = None
    swaps: bool = False
    """Moves to `engine` from any other one, where the session may."""
    applies: str = "True"
    """A condition on top of the card's own."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.flags or self.env or self.artifact or self.swaps):
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
    basis: Literal["measured", "reported", "estimated"] = "estimated"
    """measured: by our own trials. reported: by its authors or others. estimated: by us."""
    note: str = ""
    """Where it was measured or reported, or what it depends on."""
    when: str = "True"
    """A condition under which this one is the better known; the first that holds wins."""
    case: str = ""
    """That condition in Russian."""

    @model_validator(mode="after")
    def _upright(self) -> Self:
        parse(self.when)
        if (self.when != "True") != bool(self.case):
            raise ValueError("an effect with a condition says it in Russian too, and no other does")
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
    """When it was read, or its own date where it was not read again."""
    note: str = ""
    url: str = ""
    checked: bool = True
    """False: known from memory, not read again."""

    def describe(self) -> str:
        """The title with its date, and a mark where it was not read again."""
        parts = [self.title, self.date.isoformat(), *([] if self.checked else [self.note])]
        return ", ".join(part for part in parts if part)


class Verified(Frozen):
    """A measurement of the technique."""

    date: date
    hardware: str
    engine: str
    model: str
    workload: str
    result: str


class HowTo(Frozen):
    """How to switch it on by hand in one place."""

    where: str
    """The engine or tool, e.g. "vLLM", "SGLang", "Nginx"."""
    do: str
    """Flags, command or code that run as they stand; or one Russian sentence."""


class TechniqueCard(Frozen):
    """Everything known of one technique. Title, texts and labels are Russian."""

    name: str
    title: str
    kind: Kind = "engine"
    text: str
    """What it is."""
    helps: str = ""
    hurts: str = ""
    how: tuple[HowTo, ...] = ()
    check: str = ""
    """How to see whether it works here."""
    keywords: tuple[str, ...] = ()
    """Other names and what people ask about, Russian and English."""
    topics: tuple[str, ...] = Field(min_length=1)
    applies: str = "True"
    changes: tuple[Variant, ...] = ()
    """What the loop can try; empty for what it can't apply by itself."""
    effects: tuple[Effect, ...] = ()
    """None where no honest ratio can be told."""
    quality_risk: Literal["none", "low", "medium", "high"]
    conflicts: tuple[str, ...] = ()
    cost: Cost = Cost()
    signals: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)
    verified_on: tuple[Verified, ...] = ()

    @model_validator(mode="after")
    def _condition_parses(self) -> Self:
        parse(self.applies)
        if self.changes and not self.effects:
            raise ValueError("a card with changes needs effects: a prediction comes before a trial")
        swaps = all(variant.swaps for variant in self.changes)
        if self.changes and not swaps and self.kind not in ("engine", "artifact"):
            raise ValueError(f"the loop can't apply changes of kind {self.kind!r}")
        return self

    @property
    def can_be_tried(self) -> bool:
        """Whether the loop can apply it by itself."""
        return bool(self.changes)


def applies(card: TechniqueCard, facts: Mapping[str, object]) -> bool | None:
    """Whether a card's condition holds; None when it asks about a fact that is not there."""
    try:
        return evaluate(card.applies, facts)
    except ValueError:
        return None


def expand(card: TechniqueCard, facts: Mapping[str, object]) -> list[tuple[str, Change]]:
    """The changes that the card offers under these facts, each with its label.

    `facts["engine"]` picks the variants, and `facts["engines"]`, the engines that a session may
    move to, those that swap. Empty when the card does not apply. Raises ValueError when an
    expression names a fact that is not there.
    """
    variants = [variant for variant in card.changes if _offered(variant, facts)]
    if not variants or not evaluate(card.applies, facts):
        return []
    return [
        (str(render(variant.label, facts)), _change(variant, facts))
        for variant in variants
        if evaluate(variant.applies, facts)
    ]


def _offered(variant: Variant, facts: Mapping[str, object]) -> bool:
    own = variant.engine == facts["engine"]
    if not variant.swaps:
        return own
    others = facts.get("engines", frozenset())
    return not own and isinstance(others, frozenset) and variant.engine in others


def engines_to_move_to() -> frozenset[str]:
    """Those that some card offers instead of another."""
    return frozenset(one.engine for card in load_cards() for one in card.changes if one.swaps)


def load_cards(folder: Path = FOLDER) -> tuple[TechniqueCard, ...]:
    """All cards of a folder in the order of their names. Raises BadInput for a broken one."""
    return _load(folder)


@lru_cache(maxsize=4)
def _load(folder: Path) -> tuple[TechniqueCard, ...]:
    cards = tuple(_read(stem, fields) for stem, fields in read_folder(folder).items())
    names = {card.name for card in cards}
    for card in cards:
        unknown = sorted(set(card.conflicts) - names)
        if unknown:
            raise _broken(card.name, f"conflicts называет неизвестные карточки: {unknown}")
    return cards


def _read(stem: str, fields: dict[str, Any]) -> TechniqueCard:
    try:
        card = TechniqueCard.model_validate(fields)
    except ValidationError as error:
        raise _broken(stem, first_problem(error)) from error
    if card.name != stem:
        raise _broken(stem, f"name: «{card.name}» не совпадает с именем файла")
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
        engine=variant.engine if variant.swaps else None,
        flags={name: render(value, facts) for name, value in variant.flags.items()},
        env={name: None if value is None else str(value) for name, value in env.items()},
        artifact=artifact,
    )
