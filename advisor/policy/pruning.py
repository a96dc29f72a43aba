"""What needs no trial: it can't fit into memory, or a neighbour of it has failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from advisor.policy.space import Settings, settings_of
from knowledge.types import Cause, FlagValue, TrialResult, Verdict

_SAYS_NOTHING = (Cause.DECLINED, Cause.SETUP, Cause.LOST)
_PRIOR_FAILURES = 0.5
_PRIOR_TRIALS = 10.0
_GUILT = 0.95
_WEIGHTS = (0.5, 0.3, 0.2)
"""How often a failure is the fault of one setting, of two together, of three."""
_WITNESSES = 2


@dataclass(frozen=True)
class Blame:
    """Settings of a failed trial that no working trial had: what contains them fails too."""

    settings: Settings
    or_more: bool
    """Larger numbers fail as well: it was out of memory."""
    alone: bool = False
    """The trial had no other settings."""

    def covers(self, settings: Mapping[str, FlagValue | None]) -> bool:
        return all(self._like(settings.get(key), value) for key, value in self.settings.items())

    def _like(self, seen: FlagValue | None, failed: FlagValue) -> bool:
        if seen == failed:
            return True
        both = isinstance(seen, int | float) and isinstance(failed, int | float)
        numbers = both and not isinstance(seen, bool) and not isinstance(failed, bool)
        return self.or_more and numbers and seen > failed  # type: ignore[operator]


@dataclass(frozen=True)
class Suspects:
    """Settings, pairs and threes of them, one of which made a trial fail: none was seen to work.

    What contains some of them fails with the share of the guilt that they bear.
    """

    by_size: tuple[tuple[frozenset[tuple[str, FlagValue]], ...], ...]

    def share(self, items: frozenset[tuple[str, FlagValue | None]]) -> float:
        guilt = total = 0.0
        for weight, sets in zip(_WEIGHTS, self.by_size, strict=False):
            if sets:
                total += weight
                guilt += weight * sum(one <= items for one in sets) / len(sets)
        return guilt / total if total else 0.0


@dataclass(frozen=True)
class Failures:
    """What the failed trials of a session teach."""

    blames: tuple[Blame, ...]
    suspects: tuple[Suspects, ...]
    alive: frozenset[tuple[str, FlagValue]]
    """Settings that were seen to work."""
    risk: float
    """Chance that a setting never tried makes the trial fail."""

    def rule_out(self, settings: Mapping[str, FlagValue | None]) -> bool:
        """Two failures speak against it, or one that had nothing else set."""
        against = [blame for blame in self.blames if blame.covers(settings)]
        return len(against) >= _WITNESSES or any(blame.alone for blame in against)

    def chance_to_live(self, settings: Mapping[str, FlagValue | None]) -> float:
        new = sum(v is not None and (k, v) not in self.alive for k, v in settings.items())
        chance = (1 - self.risk) ** new
        items = frozenset(settings.items())
        for suspects in self.suspects:
            chance *= 1 - _GUILT * suspects.share(items)
        return float(chance)


def failures_of(trials: Sequence[TrialResult], verdicts: Sequence[Verdict] = ()) -> Failures:
    """From trials that crashed and those whose quality or integrity failed."""
    spoiled = {v.trial_id for v in verdicts if v.quality and not v.quality.non_inferior}
    failed: list[tuple[dict[str, FlagValue], bool]] = []
    alive: set[tuple[str, FlagValue]] = set()
    working: list[frozenset[tuple[str, FlagValue]]] = []
    for trial in trials:
        settings = settings_of(trial.spec.candidate)
        if trial.failure is None and trial.trial_id not in spoiled and _sound(trial):
            alive |= settings.items()
            working.append(frozenset(settings.items()))
        elif trial.failure is None or trial.failure.cause not in _SAYS_NOTHING:
            memory = bool(trial.failure and trial.failure.cause is Cause.OUT_OF_MEMORY)
            failed.append((settings, memory))
    blames = []
    for settings, memory in failed:
        new = {k: v for k, v in settings.items() if (k, v) not in alive}
        if new or settings:
            blames.append(Blame(new or settings, or_more=memory, alone=len(settings) == 1))
    return Failures(
        blames=tuple(blames),
        suspects=tuple(_suspects(settings, working) for settings, _ in failed if settings),
        alive=frozenset(alive),
        risk=min(0.3, (len(failed) + _PRIOR_FAILURES) / (len(trials) + _PRIOR_TRIALS)),
    )


def _suspects(settings: Settings, working: Sequence[frozenset[tuple[str, FlagValue]]]) -> Suspects:
    """Sets of its settings that no working trial had together."""
    items = sorted(settings.items(), key=str)
    return Suspects(
        tuple(
            tuple(
                chosen
                for chosen in map(frozenset, combinations(items, size))
                if not any(chosen <= alive for alive in working)
            )
            for size in range(1, len(_WEIGHTS) + 1)
        )
    )


def _sound(trial: TrialResult) -> bool:
    return trial.integrity is None or trial.integrity.passed
