"""What the store gives back besides the vocabulary of knowledge.types."""

from datetime import datetime
from enum import StrEnum

from knowledge.types import (
    Event,
    Frozen,
    HumanEvaluation,
    Hypothesis,
    ProductionTest,
    Profile,
    Task,
    TrialResult,
    Verdict,
)


class Status(StrEnum):
    """Where a session stands. The last one written is in force."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INFEASIBLE = "infeasible"


class SessionRow(Frozen):
    """One session as a list of sessions shows it."""

    session: str
    created_at: datetime
    status: Status
    model: str
    engine: str
    workload: str
    objective: str
    advisor_version: str
    schema_version: int


class SessionRecord(Frozen):
    """All that is known of a session: what the report is written from."""

    row: SessionRow
    task: Task
    options: dict[str, object] = {}
    profile: Profile | None = None
    hypotheses: tuple[tuple[int, Hypothesis], ...] = ()
    """(ordinal of the trial that tests it, hypothesis), in order."""
    trials: tuple[TrialResult, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    production: ProductionTest | None = None
    events: tuple[Event, ...] = ()
    human: HumanEvaluation | None = None
