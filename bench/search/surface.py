"""A space whose every configuration has a known truth: what a policy is measured on."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from advisor.policy.costs import compiled_for
from advisor.policy.space import Space, candidate_of, settings_of
from knowledge.types import (
    Candidate,
    Cause,
    Estimate,
    Failure,
    FlagValue,
    Launch,
    LoadPlan,
    Measurement,
    Metric,
    Profile,
    Task,
    TrialResult,
    TrialSpec,
)
from tools.engines.base import FlagCatalog

Array = NDArray[np.float64]
Row = Mapping[str, FlagValue | None]
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Surface:
    """Truth over all combinations of levels, and the noise of a trial."""

    name: str
    task: Task
    space: Space
    catalog: FlagCatalog
    profile: Profile
    metrics: Mapping[Metric, Array]
    """Of every configuration, in the order of `rows`."""
    crashes: NDArray[np.bool_]
    rows: Mapping[Candidate, int]
    cards_agree: float | None = None
    """Rank correlation of what the cards expect with what single changes really do."""
    cold_s: float = 100.0
    warm_s: float = 55.0
    load_s: float = 30.0
    crash_s: float = 45.0
    launch_cv: float = 0.015
    window_cv: float = 0.01
    drift: float = 0.0
    """The machine slows down and recovers by this share, once in `period` trials."""
    period: int = 20

    @property
    def sign(self) -> int:
        return 1 if self.task.objective.metric.higher_is_better else -1

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        fine = ~self.crashes
        for slo in self.task.slos:
            values = self.metrics[slo.metric]
            fine &= values >= slo.limit if slo.metric.higher_is_better else values <= slo.limit
        return fine

    @cached_property
    def log_gain(self) -> Array:
        """Of every configuration over the default; -inf where it may not be handed in."""
        values = self.metrics[self.task.objective.metric]
        default = values[self.rows[self.task.default]]
        gain: Array = self.sign * np.log(values / default)
        return np.where(self.feasible, gain, -np.inf)

    @cached_property
    def best(self) -> float:
        return float(self.log_gain.max())

    def gain(self, candidate: Candidate) -> float:
        return float(self.log_gain[self.rows[candidate]])

    def measure(
        self,
        candidate: Candidate,
        ordinal: int,
        rng: random.Random,
        launched: set[object],
        windows: int = 1,
    ) -> TrialResult:
        """One noisy trial of some windows; `launched` remembers what has been compiled."""
        at = self.rows[candidate]
        spec = TrialSpec(
            session=self.name, ordinal=ordinal, model=self.task.model,
            purpose="hypothesis" if ordinal else "baseline", candidate=candidate,
            workload=self.task.workload, load=LoadPlan(), deadline_s=600,
        )  # fmt: skip
        if self.crashes[at]:
            failure = Failure(cause=Cause.OUT_OF_MEMORY, message="не хватило памяти")
            return _result(spec, self.crash_s, failure=failure)
        quiet = frozenset(knob.flag for knob in self.space.knobs if not knob.recompiles)
        key = compiled_for(candidate, quiet)
        start_s = self.warm_s if key in launched else self.cold_s
        launched.add(key)
        launch = rng.gauss(0, self.launch_cv)
        launch += self.drift * math.sin(2 * math.pi * ordinal / self.period)
        return _result(
            spec,
            start_s + self.load_s,
            launch=Launch(argv=(), env={}, ready_s=start_s, engine_version="1", in_force={}),
            measurement=Measurement(
                metrics={
                    metric: self._noisy(float(values[at]), metric, launch, windows, rng)
                    for metric, values in self.metrics.items()
                },
                rounds=(), window_s=self.load_s, requests=100, failed_requests=0,
            ),
        )  # fmt: skip

    def _noisy(
        self, value: float, metric: Metric, launch: float, windows: int, rng: random.Random
    ) -> Estimate:
        direction, sd = 1 if metric.higher_is_better else -1, self.window_cv / math.sqrt(windows)
        seen = value * float(np.exp(direction * launch + rng.gauss(0, sd)))
        half = 1.96 * sd
        return Estimate(value=seen, low=seen * (1 - half), high=seen * (1 + half), n=100)


def _result(spec: TrialSpec, seconds: float, **parts: object) -> TrialResult:
    return TrialResult(
        spec=spec, started_at=_EPOCH, finished_at=_EPOCH + timedelta(seconds=seconds), **parts
    )


def all_rows(
    space: Space, engine: str
) -> tuple[dict[str, NDArray[np.int64]], dict[Candidate, int]]:
    """Level numbers of every knob over the full product, and where each candidate stands."""
    sizes = [len(knob.choices) for knob in space.knobs]
    grids = np.meshgrid(*(np.arange(size) for size in sizes), indexing="ij")
    levels = {knob.flag: grid.ravel() for knob, grid in zip(space.knobs, grids, strict=True)}
    rows = {}
    for at in range(len(grids[0].ravel())):
        settings = {knob.flag: knob.choices[levels[knob.flag][at]] for knob in space.knobs}
        rows[candidate_of(engine, settings)] = at
    return levels, rows


def single_changes(surface: Surface) -> dict[tuple[str, FlagValue], float]:
    """True log gain of each setting on its own."""
    values = surface.metrics[surface.task.objective.metric]
    default = values[surface.rows[surface.task.default]]
    found = {}
    for candidate, at in surface.rows.items():
        settings = settings_of(candidate)
        if len(settings) == 1 and not surface.crashes[at]:
            ((key, value),) = settings.items()
            found[key, value] = surface.sign * float(np.log(values[at] / default))
    return found
