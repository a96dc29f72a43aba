"""What may be tried: knobs with their values, and how a candidate reads as plain settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import yaml

from knowledge.cards import QUICK_START, load_cards
from knowledge.conditions import evaluate
from knowledge.types import Artifact, Candidate, Change, EngineConfig, FlagValue, Frozen

_KNOBS = Path(__file__).parents[2] / "knowledge" / "knobs"
_ENV = "$"
ARTIFACT = "artifact"

Settings = Mapping[str, FlagValue]
"""Flags by name, environment variables as $NAME, the artifact's recipe as JSON. What is not there
is at the engine's default."""


class Knob(Frozen):
    """One flag, variable or artifact and the values worth trying; None is the default."""

    flag: str
    """Or $NAME of an environment variable, or "artifact"."""
    choices: tuple[FlagValue | None, ...]
    recompiles: bool = True
    """Whether another value makes the engine compile anew; else its next start is a warm one."""
    applies: str = "True"
    """A condition in the language of the cards, of which `value` is one of the choices."""

    @property
    def kind(self) -> Literal["flag", "env", "artifact"]:
        if self.flag == ARTIFACT:
            return "artifact"
        return "env" if self.flag.startswith(_ENV) else "flag"


@dataclass(frozen=True)
class Space:
    """Knobs, and where not every combination exists (a recorded grid) the ones that do."""

    knobs: tuple[Knob, ...]
    members: frozenset[Candidate] | None = None
    closed: bool = False
    """Nothing but the knobs' own values may be set."""

    def has(self, candidate: Candidate) -> bool:
        if self.members is not None:
            return candidate in self.members
        if not self.closed:
            return True
        return all(
            value in self._values.get(key, ()) for key, value in settings_of(candidate).items()
        )

    @cached_property
    def _values(self) -> dict[str, tuple[FlagValue | None, ...]]:
        return {knob.flag: knob.choices for knob in self.knobs}

    @cached_property
    def listed(self) -> tuple[tuple[Candidate, Settings], ...]:
        """The members with their settings, in an order that does not change."""
        members = sorted(self.members or (), key=lambda one: one.content_id())
        return tuple((one, settings_of(one)) for one in members)


def space_of(engine: str, known: Sequence[str], facts: Mapping[str, object]) -> Space:
    """The knobs of knowledge/knobs/ENGINE.yaml that the installed engine has, with the values that
    make sense under these facts."""
    return Space(tuple(_sensible(knob, facts) for knob in load_knobs(engine) if knob.flag in known))


def _sensible(knob: Knob, facts: Mapping[str, object]) -> Knob:
    choices = [
        v for v in knob.choices if v is None or evaluate(knob.applies, {**facts, "value": v})
    ]
    return knob.replace(choices=tuple(choices))


@lru_cache(maxsize=16)
def load_knobs(engine: str) -> tuple[Knob, ...]:
    """From knowledge/knobs/ENGINE.yaml; none when there is no such file."""
    path = _KNOBS / f"{engine}.yaml"
    if not path.exists():
        return ()
    return tuple(Knob.model_validate(row) for row in yaml.safe_load(path.read_text()))


def settings_of(candidate: Candidate) -> dict[str, FlagValue]:
    """A candidate as one flat mapping."""
    found: dict[str, FlagValue] = dict(candidate.config.flags)
    found |= {_ENV + name: value for name, value in candidate.config.env.items()}
    if candidate.artifact:
        found[ARTIFACT] = candidate.artifact.model_dump_json()
    return found


def candidate_of(engine: str, settings: Mapping[str, FlagValue | None]) -> Candidate:
    """The candidate of a flat mapping; None stands for the default."""
    flags = {k: v for k, v in settings.items() if v is not None and _is_flag(k)}
    env = {k[1:]: str(v) for k, v in settings.items() if v is not None and k.startswith(_ENV)}
    recipe = settings.get(ARTIFACT)
    return Candidate(
        config=EngineConfig(engine=engine, flags=flags, env=env),
        artifact=Artifact.model_validate_json(str(recipe)) if recipe is not None else None,
    )


def _is_flag(key: str) -> bool:
    return not key.startswith(_ENV) and key != ARTIFACT


def settings_of_change(change: Change) -> dict[str, FlagValue | None]:
    """What a change sets; None for what it takes away."""
    found: dict[str, FlagValue | None] = dict(change.flags)
    found |= {_ENV + name: value for name, value in change.env.items()}
    if change.artifact:
        found[ARTIFACT] = change.artifact.model_dump_json()
    return found


def difference(base: Candidate, other: Candidate) -> Change:
    """What turns one into the other. An artifact that is taken away can't be said in a Change."""
    before, after = base.config, other.config
    return Change(
        flags={
            name: after.flags.get(name)
            for name in sorted(before.flags.keys() | after.flags.keys())
            if before.flags.get(name) != after.flags.get(name)
        },
        env={
            name: after.env.get(name)
            for name in sorted(before.env.keys() | after.env.keys())
            if before.env.get(name) != after.env.get(name)
        },
        artifact=other.artifact if other.artifact != base.artifact else None,
    )


def in_title(
    settings: Mapping[str, FlagValue | None], given: Mapping[str, FlagValue | None]
) -> str:
    """The same for a title, without what all candidates have in common: the user's own flags, and a
    quick start, which is how a candidate was screened and not what it is."""
    common = {*_quick_starts(), *given.items()}
    rest = {key: value for key, value in settings.items() if (key, value) not in common}
    return describe(rest if any(value is not None for value in rest.values()) else settings)


def describe(settings: Mapping[str, FlagValue | None]) -> str:
    """On one line for a title; Russian where nothing differs from the default."""
    parts = []
    for key, value in settings.items():
        if value is None:
            continue
        shown = Artifact.model_validate_json(str(value)).scheme if key == ARTIFACT else value
        parts.append(f"{key.removeprefix(_ENV)}={shown}")
    return ", ".join(parts) or "значения по умолчанию"


@lru_cache(maxsize=1)
def _quick_starts() -> frozenset[tuple[str, FlagValue | None]]:
    cards = [card for card in load_cards() if QUICK_START in card.topics]
    return frozenset(
        setting for card in cards for one in card.changes for setting in one.flags.items()
    )
