"""What a trial will take: a cold start against a warm one, and artifacts that are made already."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from advisor.policy.space import Knob, settings_of
from knowledge.cards import load_cards
from knowledge.types import Artifact, Candidate, TrialResult

_LATER_START = 0.6
"""The second start finds what the first one compiled: 215 s, then 100 to 125 s on an H100; 150 s,
then 35 to 75 s on two cores (2026-11-23)."""


@dataclass(frozen=True)
class Costs:
    """Seconds of trials to come, from those that were run."""

    load_s: float
    cold_s: float
    warm_s: float
    launched: frozenset[frozenset[tuple[str, object]]] = frozenset()
    """What was compiled for: settings without those that compile nothing."""
    made: frozenset[Artifact] = frozenset()
    quiet: frozenset[str] = frozenset()
    """Settings that compile nothing."""

    def of(self, candidate: Candidate) -> float:
        """Start, load, and the making of the artifact."""
        start_s = self.warm_s if self._key(candidate) in self.launched else self.cold_s
        return start_s + self.load_s + self._artifact_s(candidate)

    def _key(self, candidate: Candidate) -> frozenset[tuple[str, object]]:
        return compiled_for(candidate, self.quiet)

    def _artifact_s(self, candidate: Candidate) -> float:
        if candidate.artifact is None or candidate.artifact in self.made:
            return 0.0
        return _making_s(candidate.artifact)


def costs_of(trials: Sequence[TrialResult], knobs: Sequence[Knob], trial_s: float) -> Costs:
    """Medians of what was seen; `trial_s` where nothing was."""
    quiet = frozenset(knob.flag for knob in knobs if not knob.recompiles)
    own = [t for t in trials if t.launch and t.measurement]
    cold: list[float] = []
    warm: list[float] = []
    launched: set[frozenset[tuple[str, object]]] = set()
    for trial in own:
        assert trial.launch
        key = compiled_for(trial.spec.candidate, quiet)
        (warm if key in launched else cold).append(trial.launch.ready_s)
        launched.add(key)
    load_s = [t.seconds - t.launch.ready_s for t in own if t.launch]
    cold_s = median(cold) if cold else 0.0
    return Costs(
        load_s=median(load_s) if load_s else trial_s,
        cold_s=cold_s,
        warm_s=min(median(warm), cold_s) if warm else _LATER_START * cold_s,
        launched=frozenset(launched),
        made=frozenset(t.spec.candidate.artifact for t in own if t.spec.candidate.artifact),
        quiet=quiet,
    )


def compiled_for(
    candidate: Candidate, quiet: frozenset[str] = frozenset()
) -> frozenset[tuple[str, object]]:
    """Two candidates with the same one share what the engine compiled."""
    return frozenset((k, v) for k, v in settings_of(candidate).items() if k not in quiet)


def _making_s(artifact: Artifact) -> float:
    """What the card that offers this artifact says; half a minute where none does."""
    for card in load_cards():
        for variant in card.changes:
            offered = variant.artifact
            if offered and (offered.quantizer, offered.scheme, offered.options.get("method")) == (
                artifact.quantizer,
                artifact.scheme,
                artifact.options.get("method"),
            ):
                return card.cost.extra_s
    return 30.0
