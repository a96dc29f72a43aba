"""TPOT and TTFT of deployments at given concurrencies, conditioned on what was measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.devices import known_devices
from knowledge.prediction.features import NAMES, Described, describe
from knowledge.prediction.gaussian import Posterior, posterior
from knowledge.prediction.kernel import Array, Inputs
from knowledge.prediction.physics import Point
from knowledge.prediction.trained import Target, Trained, load
from knowledge.prediction.types import Figure, Observation, Provenance
from knowledge.types import Device

_Z90 = 1.6449
_USUAL_HARNESS = "inferencex"
_OUR_HARNESS = "here"
NEWEST = {"vllm": "0.19.0", "sglang": "0.5.9", "trtllm": "1.3.0rc1"}
"""The newest release of each engine with rows enough: what a plan assumes."""
_GROUP = NAMES.index("group")
_ENGINE = NAMES.index("engine")


@dataclass(frozen=True)
class LogFigure:
    """A lognormal time: mean and standard deviation of its log (milliseconds)."""

    mean: float
    deviation: float

    @property
    def value(self) -> float:
        """One over the expected speed, which is what an average over requests is about."""
        return math.exp(self.mean - 0.5 * self.deviation**2)

    @property
    def figure(self) -> Figure:
        """Value with the 90 % interval."""
        low = math.exp(self.mean - _Z90 * self.deviation)
        high = math.exp(self.mean + _Z90 * self.deviation)
        return Figure(value=min(max(self.value, low), high), low=low, high=high)


@dataclass(frozen=True)
class Speed:
    """Both times of one point, and where they come from."""

    tpot: LogFigure
    ttft: LogFigure
    provenance: Provenance


_among_known: dict[int, NDArray[np.float32]] = {}
"""By the kernel's id, which the cached training keeps alive."""


def prepare() -> None:
    """Spend two seconds and 60 MiB once, so that a service answers twice as many questions."""
    trained = load()
    for target in (trained.tpot, trained.ttft):
        alike = target.kernel.covariance(trained.inputs, trained.inputs)
        _among_known[id(target.kernel)] = alike.astype(np.float32)


def speeds(
    trained: Trained, points: Sequence[Point], observations: Sequence[Observation] = ()
) -> list[Speed]:
    """One joint conditioning for all points: the nearest cells, and all of our own trials."""
    ours = [seen for seen in observations if seen.source == "here" and seen.facts is not None]
    measured = [describe(point_of(seen), _OUR_HARNESS, "") for seen in ours]
    engines = {one.names[_ENGINE] for one in measured}
    asked = [
        describe(point, _OUR_HARNESS, "")
        if point.engine in engines
        else describe(point, _USUAL_HARNESS, NEWEST.get(point.engine, ""))
        for point in points
    ]
    known, wanted = _encode(trained, measured, asked)
    guesses = np.array([trained.guess_log(one) for one in asked])
    both = []
    for column, (target, residuals) in enumerate(
        ((trained.tpot, trained.tpot_residuals), (trained.ttft, trained.ttft_residuals))
    ):
        own = _own_residuals(trained, ours, measured, column)
        both.append(_posterior(target, trained, known, np.concatenate([residuals, own]), wanted))
    return [
        Speed(
            tpot=_log_figure(both[0], trained.tpot, guesses[k, 0], k),
            ttft=_log_figure(both[1], trained.ttft, guesses[k, 1], k),
            provenance=_provenance(trained, measured, one),
        )
        for k, one in enumerate(asked)
    ]


def _posterior(
    target: Target, trained: Trained, known: Inputs, residuals: Array, wanted: Inputs
) -> Posterior:
    there = len(trained.inputs)
    prior = posterior(
        target.kernel,
        trained.inputs,
        residuals[:there],
        wanted.join(known),
        among_known=_among_known.get(id(target.kernel)),
    )
    own = residuals[there:]
    usable = np.flatnonzero(np.isfinite(own))
    if not len(usable):
        return prior
    return prior.given(len(wanted) + usable, own[usable])


def _own_residuals(
    trained: Trained, ours: Sequence[Observation], measured: Sequence[Described], column: int
) -> Array:
    """NaN where a trial has no such figure."""
    rows = []
    for seen, one in zip(ours, measured, strict=True):
        value = (seen.tpot_ms, seen.ttft_ms)[column]
        usable = value is not None and value > 0
        rows.append(math.log(value) - trained.guess_log(one)[column] if usable else math.nan)  # type: ignore[arg-type]
    return np.array(rows, dtype=np.float64)


def _log_figure(found: Posterior, target: Target, guess: float, k: int) -> LogFigure:
    return LogFigure(
        mean=float(guess + found.mean[k]), deviation=float(found.deviation[k] * target.widen)
    )


def _encode(
    trained: Trained, measured: Sequence[Described], asked: Sequence[Described]
) -> tuple[Inputs, Inputs]:
    """Codes in the trained vocabularies; new names get new codes, so that they can be equal."""
    books = [{word: code for code, word in enumerate(words)} for words in trained.vocabularies]
    return _coded(books, measured), _coded(books, asked)


def _coded(books: list[dict[str, int]], described: Sequence[Described]) -> Inputs:
    codes = [
        [book.setdefault(name, len(book)) if name else -1
         for book, name in zip(books, one.names, strict=True)]
        for one in described
    ]  # fmt: skip
    numbers = [one.numbers for one in described]
    width = len(NAMES)
    return Inputs(
        np.array(numbers, dtype=np.float64).reshape(len(described), -1)
        if described
        else np.zeros((0, _numbers_width())),
        np.array(codes, dtype=np.int64).reshape(len(described), width),
    )


def _numbers_width() -> int:
    from knowledge.prediction.features import NUMBERS

    return len(NUMBERS)


def _provenance(trained: Trained, measured: Sequence[Described], asked: Described) -> Provenance:
    group = asked.names[_GROUP]
    if any(one.names[_GROUP] == group for one in measured):
        return Provenance.MEASURED_HERE
    if group in trained.vocabularies[_GROUP]:
        return Provenance.MEASURED_ELSEWHERE
    return Provenance.PREDICTED


def point_of(seen: Observation) -> Point:
    """The deployment that was measured, as the features see it."""
    assert seen.facts is not None
    return Point(
        facts=seen.facts,
        device=seen.hardware or _device(seen.device),
        layout=seen.layout,
        engine=seen.engine,
        weight_dtype=seen.weight_dtype,
        kv_dtype=seen.kv_dtype or kv_dtype_beside(seen.weight_dtype),
        input_tokens=seen.input_tokens,
        output_tokens=seen.output_tokens,
        concurrency=seen.concurrency,
    )


def kv_dtype_beside(weight_dtype: str) -> str:
    """The KV cache's dtype where nothing is said: harnesses ask for 8 bits beside 8 and 4."""
    return "fp8" if weight_dtype in ("fp8", "fp4") else "bfloat16"


def _device(name: str) -> Device:
    return known_devices()[name]
