"""What the graph carries from step to step: ids and plain figures. Results live in the store."""

from typing_extensions import TypedDict


class State(TypedDict, total=False):
    """JSON values only, so that a checkpoint is readable by any version. All keys are optional."""

    session: str
    ordinal: int
    """The next trial's number."""
    spent_s: float
    """Seconds of the budget used, over all runs of the session."""
    reference: str
    """Trial that the next hypothesis is compared with."""
    incumbent: str
    """Trial of the best configuration that could be handed in."""
    screening: bool
    """Hypotheses run with the engine's quick start; the finalist is measured without it."""
    kept: list[int]
    """Ordinals of hypotheses kept in the quick-start line since the incumbent."""
    batch: list[int]
    """Ordinals of the hypotheses that were asked for, and are measured, at the same time."""
    asked_with: str
    """The reference when they were asked for: what their predictions are about."""
    quality: dict[str, object] | None
    """The QualityVerdict of the last trial."""
    stop: str
    """Why the search ended, in Russian; empty while it goes on."""
