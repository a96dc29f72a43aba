"""Ranks the ways to serve a model by what they promise and what they cost."""

import math
from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from advisor.planning import candidates
from advisor.planning.command import checkpoint_needed, launch_command
from advisor.planning.hypotheses import Idea, ideas
from knowledge.cost import TokenCost, token_cost
from knowledge.devices import CatalogDevice
from knowledge.errors import BadInput
from knowledge.gpu_prices import Price, typical_price
from knowledge.memory import EngineMemory
from knowledge.prediction import Figure, Load, Observation, Prediction, Query
from knowledge.prediction.model import memory_of, point_of, predict_many
from knowledge.prediction.physics import terms
from knowledge.support import Support
from knowledge.types import Frozen, Metric, ModelFacts, Objective, Slo

_MOST_PREDICTED = 24
_COUNTS = (1, 2, 4, 8)


class Promise(StrEnum):
    """How an SLO stands against a predicted interval."""

    HOLDS = "holds"
    LIKELY = "likely"
    UNLIKELY = "unlikely"
    FAILS = "fails"

    @property
    def russian(self) -> str:
        return {"holds": "выполнится", "likely": "скорее да", "unlikely": "скорее нет",
                "fails": "не выполнится"}[self.value]  # fmt: skip


class PlanRequest(Frozen):
    """What is to be served, where it may stand, and what is promised."""

    model: str
    path: str
    """What the launch command names: a folder or a hub id."""
    facts: ModelFacts
    gpus: tuple[CatalogDevice, ...]
    counts: tuple[int, ...] = _COUNTS
    """How many GPUs may be used; one number where the user said how many."""
    engine: str = "vllm"
    load: Load
    dtypes: tuple[str, ...] = ()
    kv_dtype: str | None = None
    slos: tuple[Slo, ...] = ()
    slos_are_default: bool = False
    objective: Objective = Objective.LATENCY
    utilization: float = 0.9
    shared_prefix_tokens: int = 0
    prices: tuple[Price, ...] = ()


class Option(Frozen):
    """One way to serve it."""

    gpu: str
    stem: str
    query: Query
    prediction: Prediction
    memory: EngineMemory
    support: Support
    e2e_ms: Figure
    promises: tuple[tuple[Slo, Promise], ...]
    price: Price | None
    price_stale: bool
    cost: TokenCost | None

    @property
    def devices(self) -> int:
        return self.query.layout.devices

    @property
    def good(self) -> bool:
        """It fits, and every SLO is at least likely."""
        kept = all(p in (Promise.HOLDS, Promise.LIKELY) for _, p in self.promises)
        return self.prediction.fits and not self.prediction.saturated and kept


class Plan(Frozen):
    """Options, best first, and what goes with the best."""

    request: PlanRequest
    options: tuple[Option, ...]
    not_fitting: tuple[tuple[str, int], ...]
    """Count, GPU and dtype that no layout fits, and the bytes missing on each GPU."""
    best: Option | None
    feasible: bool
    """The best holds every SLO at least likely."""
    ideas: tuple[Idea, ...] = ()
    command: tuple[str, ...] = ()
    checkpoint_needed: str = ""
    """The format that has to be made (or downloaded) first; empty: the model serves as it is."""


def make_plan(request: PlanRequest, today: date, ours: Sequence[Observation] = (),
              others: Sequence[Observation] = ()) -> Plan:  # fmt: skip
    """All of it, from the model's facts and the catalogs; nothing is measured. Raises BadInput."""
    fitting: list[tuple[CatalogDevice, Support, Query]] = []
    missing: dict[str, int] = {}
    for gpu in request.gpus:
        _gather(request, gpu, fitting, missing)
    chosen = _most_promising(request, fitting)
    predictions = predict_many([query for _, _, query in chosen], [*ours, *others])
    options = [
        _option(request, gpu, support, prediction, query, today)
        for (gpu, support, query), prediction in zip(chosen, predictions, strict=True)
    ]
    ranked = tuple(sorted(options, key=lambda option: _rank(request, option)))
    best = ranked[0] if ranked else None
    return Plan(
        request=request,
        options=ranked,
        not_fitting=tuple(missing.items()),
        best=best,
        feasible=bool(best and best.good),
        ideas=ideas(request, best.query) if best else (),
        command=launch_command(request.engine, request.path, best.query) if best else (),
        checkpoint_needed=checkpoint_needed(best.query) if best else "",
    )


def _gather(
    request: PlanRequest,
    gpu: CatalogDevice,
    fitting: list[tuple[CatalogDevice, Support, Query]],
    missing: dict[str, int],
) -> None:
    dtypes = candidates.dtypes_for(request.facts, request.engine, gpu, request.dtypes)
    runs = {name: support for name, support in dtypes if support.runs or support.level == "unknown"}
    if not runs and dtypes:
        raise BadInput(f"{dtypes[0][1].why}", "Выберите другой --dtype или другую карту")
    fits: set[str] = set()
    short_of: dict[str, int] = {}
    asked = candidates.queries(
        request.facts, gpu, request.counts, list(runs), engine=request.engine,
        model=request.model, load=request.load, kv_dtype=request.kv_dtype,
        utilization=request.utilization,
    )  # fmt: skip
    for query in asked:
        memory = memory_of(query)
        name = f"{query.layout.devices} × {gpu.name}, {query.weight_dtype}"
        if memory.fits:
            fits.add(name)
            fitting.append((gpu, runs[query.weight_dtype], query))
        else:
            short = _shortfall(query, memory)
            short_of[name] = min(short, short_of.get(name, short))
    missing |= {name: short for name, short in short_of.items() if name not in fits}


def _shortfall(query: Query, memory: EngineMemory) -> int:
    """Bytes that one GPU lacks for the weights and one request."""
    fixed = memory.weights_bytes + memory.activations_bytes + memory.outside_bytes
    share = query.device.memory_bytes * query.memory_utilization
    return max(1, int(fixed + memory.kv_bytes_per_sequence - share))


def _most_promising(
    request: PlanRequest, fitting: Sequence[tuple[CatalogDevice, Support, Query]]
) -> list[tuple[CatalogDevice, Support, Query]]:
    """By the roofline, a few of each kind of GPU and count, so that no kind is crowded out."""
    groups: dict[tuple[str, int], list[tuple[float, tuple[CatalogDevice, Support, Query]]]] = {}
    for item in fitting:
        gpu, _, query = item
        point = point_of(query, request.load.concurrency or 16.0)
        found = terms(point)
        step = found.weights_s + found.kv_s + found.compute_s + found.comm_s
        time = (found.prefill_s + found.prefill_comm_s + found.interference_s
                + step * request.load.output_tokens)  # fmt: skip
        groups.setdefault((gpu.stem, query.layout.devices), []).append((time, item))
    each = max(2, _MOST_PREDICTED // max(1, len(groups)))
    chosen = []
    for members in groups.values():
        members.sort(key=lambda pair: pair[0])
        chosen += [item for _, item in members[:each]]
    return chosen


def _option(
    request: PlanRequest,
    gpu: CatalogDevice,
    support: Support,
    prediction: Prediction,
    query: Query,
    today: date,
) -> Option:
    e2e = _e2e(prediction, request.load.output_tokens)
    price = typical_price(gpu.stem, user=request.prices)
    hourly = price.on_demand_usd_per_h if price else None
    cost = None
    if hourly is not None:
        cost = token_cost(
            hourly, query.layout.devices, prediction.output_tokens_per_s,
            input_tokens=request.load.input_tokens, output_tokens=request.load.output_tokens,
            prefill_share=prefill_share(query, prediction.concurrency),
        )  # fmt: skip
    return Option(
        gpu=gpu.name,
        stem=gpu.stem,
        query=query,
        prediction=prediction,
        memory=memory_of(query),
        support=support,
        e2e_ms=e2e,
        promises=tuple((slo, _promise(slo, prediction, e2e)) for slo in request.slos),
        price=price,
        price_stale=bool(price and price.is_stale(today)),
        cost=cost,
    )


def prefill_share(query: Query, concurrency: float) -> float:
    """Part of a server's time that prompts take, at the roofline."""
    found = terms(point_of(query, concurrency))
    step = found.weights_s + found.kv_s + found.compute_s + found.comm_s
    per_step = concurrency / query.load.output_tokens * (found.prefill_s + found.prefill_comm_s)
    return per_step / (per_step + step)


def _e2e(prediction: Prediction, tokens: float) -> Figure:
    """TTFT + TPOT · (output - 1); the two are taken as independent on the log scale."""
    ttft, decode = prediction.ttft_ms, prediction.tpot_ms.scaled(max(0.0, tokens - 1))
    value = ttft.value + decode.value
    share = ttft.value / value
    down, up = (
        math.hypot(share * math.log(one / ttft.value), (1 - share) * math.log(other / base))
        for one, other, base in (
            (ttft.low, prediction.tpot_ms.low, prediction.tpot_ms.value),
            (ttft.high, prediction.tpot_ms.high, prediction.tpot_ms.value),
        )
    )
    return Figure(value=value, low=value * math.exp(-down), high=value * math.exp(up))


def _promise(slo: Slo, prediction: Prediction, e2e: Figure) -> Promise:
    figure = _figure_of(slo.metric, prediction, e2e)
    if figure is None:
        return Promise.UNLIKELY if prediction.saturated else Promise.LIKELY
    worst, best = (figure.low, figure.high) if slo.metric.higher_is_better else (
        figure.high, figure.low)  # fmt: skip
    if slo.met_by(worst):
        return Promise.HOLDS
    if slo.met_by(figure.value):
        return Promise.LIKELY
    return Promise.UNLIKELY if slo.met_by(best) else Promise.FAILS


def _figure_of(metric: Metric, prediction: Prediction, e2e: Figure) -> Figure | None:
    stem = metric.value.split("_")[0]
    known = {"ttft": prediction.ttft_ms, "tpot": prediction.tpot_ms, "itl": prediction.tpot_ms,
             "e2e": e2e, "output": prediction.output_tokens_per_s}  # fmt: skip
    return known.get(stem)


def _rank(request: PlanRequest, option: Option) -> tuple[float, ...]:
    """SLOs first, then money where cost is the goal or SLOs are given, then the objective."""
    broken = sum(p in (Promise.UNLIKELY, Promise.FAILS) for _, p in option.promises)
    broken += 2 * option.prediction.saturated
    money = option.cost.output_usd.value if option.cost else math.inf
    goal = {
        Objective.TTFT: option.prediction.ttft_ms.value,
        Objective.TPOT: option.prediction.tpot_ms.value,
        Objective.LATENCY: option.e2e_ms.value,
        Objective.THROUGHPUT: -option.prediction.output_tokens_per_s.value / option.devices,
        Objective.COST: money,
    }[request.objective]
    if request.slos and math.isfinite(money):
        return (broken, money, goal)
    return (broken, goal, money)
