"""Which trial of a session plays which part: the naive reference, the default, the winner."""

from knowledge.types import Candidate, Decision, TrialResult
from tools.store import SessionRecord


def by_id(record: SessionRecord, trial_id: str | None) -> TrialResult | None:
    """The trial of this id, if the record has it."""
    return next((trial for trial in record.trials if trial.trial_id == trial_id), None)


def naive(record: SessionRecord) -> TrialResult | None:
    """The naive reference, if it was measured."""
    return _last_measured(record, "naive")


def screened_default(record: SessionRecord) -> TrialResult | None:
    """The engine's default as the search saw it."""
    return _last_measured(record, "baseline")


def default(record: SessionRecord) -> TrialResult | None:
    """The default in the production test; before one, as the search saw it."""
    if record.production is not None:
        return by_id(record, record.production.default_trial_id)
    return screened_default(record)


def winner(record: SessionRecord) -> TrialResult | None:
    """The winner in the production test; before one, the last configuration kept.

    None when nothing beat the default.
    """
    if record.production is not None:
        if record.production.winner_trial_id == record.production.default_trial_id:
            return None
        return by_id(record, record.production.winner_trial_id)
    kept = [verdict for verdict in record.verdicts if verdict.decision == Decision.KEPT]
    return by_id(record, kept[-1].trial_id) if kept else None


def handed_in(record: SessionRecord) -> TrialResult | None:
    """What the session hands in: None until the production test has said which one."""
    if record.production is None:
        return None
    if record.production.handed_in == "default":
        return default(record)
    return winner(record)


def describe(candidate: Candidate, default_engine: str = "") -> str:
    """Flags, variables and artifact on one line, as one would type them; Russian for none.

    Another engine than the default's is named.
    """
    engine = candidate.config.engine
    parts = [f"движок {engine}"] if default_engine and engine != default_engine else []
    parts += [f"{name}={value}" for name, value in candidate.config.env.items()]
    parts += [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in candidate.config.flags.items()
    ]
    if candidate.artifact is not None:
        parts.append(f"артефакт {candidate.artifact.scheme} ({candidate.artifact.quantizer})")
    return " ".join(parts) or "без изменений"


def _last_measured(record: SessionRecord, purpose: str) -> TrialResult | None:
    found = [t for t in record.trials if t.spec.purpose == purpose and t.measurement is not None]
    return found[-1] if found else None
