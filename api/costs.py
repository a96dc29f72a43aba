"""From what the user typed to figures of money: each part when its inputs are given."""

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from zlib import crc32

from advisor.planning import Option, make_plan
from advisor.prediction.sources import elsewhere, ours
from api.plans import PlanOptions, request_of
from knowledge.cost import (
    BreakEven,
    Payback,
    Request,
    Routing,
    SpotPlan,
    SpotResult,
    TokenCost,
    Traffic,
    break_even,
    payback,
    route,
    simulate_spot,
    study,
    token_cost,
)
from knowledge.errors import BadInput
from knowledge.gpu_prices import Price, prices_for, typical_price
from knowledge.prediction import Figure, Load
from knowledge.types import Frozen, Interval
from tools.home import Home
from tools.load import Tokenizer, load_trace

_SPEEDUP = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*(?:\.\.|…|-|–)\s*(\d+(?:[.,]\d+)?)\s*")
_PIECE = re.compile(r"\w{1,4}|[^\w\s]|\s+(?=\s)")


@dataclass(frozen=True)
class CostOptions:
    """The options of `cost`, as typed."""

    plan: PlanOptions
    tokens_per_s: float | None = None
    load_share: float = 1.0
    price: float | None = None
    api_price: str | None = None
    tuning_hours: float | None = None
    speedup: str = "1.1..1.4"
    spot: float | None = None
    interruptions: float = 2.0
    job_hours: float = 24.0
    checkpoint: float | None = None
    fallback: bool = True
    small_model_price: float | None = None
    easy: float = 0.5
    router_error: float = 0.05
    trace: Path | None = None
    cache_tokens: int = 500_000
    similarity: float = 0.9
    tokenizer: Path | None = None


class CostReport(Frozen):
    """What could be computed; None where inputs were not given."""

    deployment: str = ""
    measured: bool = False
    """The throughput was given by the user; otherwise it is predicted."""
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    output_tokens_per_s: Figure | None = None
    price_note: str = ""
    price_stale: bool = False
    tokens: TokenCost | None = None
    payback: Payback | None = None
    break_even: BreakEven | None = None
    spot: SpotResult | None = None
    spot_plan: SpotPlan | None = None
    routing: Routing | None = None
    traffic: Traffic | None = None
    traffic_exact_tokens: bool = False
    traffic_saving_usd_share: float | None = None
    """Of the bill: the prefix cache's part of prefill time."""


def report_of(options: CostOptions, home: Home, today: date) -> CostReport:
    """All parts. Raises BadInput."""
    _something(options)
    parts: dict[str, object] = {}
    if options.plan.gpu:
        parts |= _tokens(options, home, today)
    tokens = parts.get("tokens")
    assert tokens is None or isinstance(tokens, TokenCost)
    if options.trace is not None:
        parts |= _traffic(options, tokens)
    if options.small_model_price is not None:
        large = _needs(tokens, "--small-model-price").output_usd.value
        parts["routing"] = route(
            options.small_model_price, large, easy_share=options.easy,
            error_rate=options.router_error,
        )  # fmt: skip
    return CostReport.model_validate(parts)


def _something(options: CostOptions) -> None:
    if not options.plan.gpu and options.trace is None:
        raise BadInput(
            "неясно, что считать: нет ни --gpu, ни --trace",
            "Например: advisor cost qwen2.5-72b --gpu 2xh100 или advisor cost --trace ФАЙЛ.jsonl",
        )
    if options.plan.gpu and not options.plan.model and options.tokens_per_s is None:
        raise BadInput(
            "для цены токена нужна модель или измеренный --tokens-per-s",
            "Например: advisor cost qwen2.5-72b --gpu 2xh100",
        )
    for name, value in (("--tokens-per-s", options.tokens_per_s), ("--price", options.price)):
        if value is not None and value <= 0:
            raise BadInput(f"{name}: {value} не подходит", "Нужно число больше нуля")


def _needs(tokens: TokenCost | None, option: str) -> TokenCost:
    if tokens is None:
        raise BadInput(f"для {option} нужна цена токена", "Добавьте модель и --gpu")
    return tokens


def _tokens(options: CostOptions, home: Home, today: date) -> dict[str, object]:
    plan = options.plan
    request = request_of(plan if plan.model else _anything(plan))
    if len(request.gpus) != 1:
        raise BadInput("для cost нужна одна карта", "Сравнение карт: advisor plan … --gpu any")
    gpu = request.gpus[0]
    found = prices_for(gpu.stem, user=request.prices)
    quoted = typical_price(gpu.stem, user=request.prices)
    hourly, note, stale = _price(options, quoted, today, gpu.name)
    best: Option | None = None
    if plan.model:
        others = elsewhere([request.facts], gpu.name)
        best = make_plan(request, today, ours(home), others).best
        if best is None:
            raise BadInput(
                f"{request.model} не помещается на {gpu.name}",
                f"Сколько не хватает, покажет: advisor plan {plan.model} --gpu {gpu.stem}",
            )
    devices = best.devices if best else request.counts[0]
    speed = _speed(options, best)
    share = _prefill_share(best, request.load.input_tokens, request.load.output_tokens)
    tokens = token_cost(
        hourly, devices, speed, input_tokens=request.load.input_tokens,
        output_tokens=request.load.output_tokens, prefill_share=share,
        load_share=options.load_share,
    )  # fmt: skip
    parts: dict[str, object] = {
        "deployment": _where(best) if best else f"{devices} × {gpu.name}",
        "measured": options.tokens_per_s is not None,
        "input_tokens": request.load.input_tokens,
        "output_tokens": request.load.output_tokens,
        "output_tokens_per_s": speed,
        "price_note": note,
        "price_stale": stale,
        "tokens": tokens,
    }
    parts |= _tuning(options, tokens, speed) | _api(options, tokens, speed, request.load)
    return parts | _spot(options, tokens.usd_per_hour, devices, found)


def _anything(plan: PlanOptions) -> PlanOptions:
    """With a measured throughput the model does not matter; a small one fits everywhere."""
    counted = any(text[:1].isdigit() for text in plan.gpu)
    return replace(plan, model="qwen2.5-0.5b", count=plan.count if counted else plan.count or 1)


def _speed(options: CostOptions, best: Option | None) -> Figure:
    given = options.tokens_per_s
    if given is not None:
        return Figure(value=given, low=given, high=given)
    assert best is not None
    return best.prediction.output_tokens_per_s


def _prefill_share(best: Option | None, input_tokens: float, output_tokens: float) -> float:
    """From the roofline; without a model an input token counts a tenth of an output one."""
    if best is not None:
        from advisor.planning.plan import prefill_share

        return prefill_share(best.query, best.prediction.concurrency)
    return input_tokens * 0.1 / (input_tokens * 0.1 + output_tokens)


def _price(
    options: CostOptions, quoted: Price | None, today: date, name: str
) -> tuple[float, str, bool]:
    if options.price is not None:
        return options.price, "ваша цена", False
    if quoted is None or quoted.on_demand_usd_per_h is None:
        raise BadInput(f"цена {name} неизвестна", "Дайте --price USD_ЗА_ЧАС или --prices ФАЙЛ")
    return quoted.on_demand_usd_per_h, quoted.describe(today), quoted.is_stale(today)


def _tuning(options: CostOptions, tokens: TokenCost, speed: Figure) -> dict[str, object]:
    if options.tuning_hours is None:
        return {}
    found = payback(
        options.tuning_hours, tokens.usd_per_hour, _interval(options.speedup),
        output_tokens_per_s=speed.value,
    )  # fmt: skip
    return {"payback": found}


def _interval(text: str) -> Interval:
    match = _SPEEDUP.fullmatch(text)
    if match is None:
        raise BadInput(f"не понимаю ускорение «{text}»", "Пишите от..до, например 1.1..1.4")
    low, high = (float(number.replace(",", ".")) for number in match.groups())
    if low > high:
        raise BadInput(f"ускорение «{text}» перевёрнуто", f"Пишите {high:g}..{low:g}")
    return Interval(low=low, high=high)


def _api(options: CostOptions, tokens: TokenCost, speed: Figure, load: Load) -> dict[str, object]:
    if options.api_price is None:
        return {}
    pieces = options.api_price.replace(",", ".").split("/")
    try:
        given = [float(piece) for piece in pieces]
    except ValueError:
        given = []
    if len(given) not in (1, 2):
        raise BadInput(
            f"не понимаю цену API «{options.api_price}»",
            "Пишите вход/выход в USD за 1M токенов: 0.15/0.60",
        )
    found = break_even(
        tokens.usd_per_hour, api_input_usd=given[0], api_output_usd=given[-1],
        input_tokens=load.input_tokens, output_tokens=load.output_tokens,
        output_tokens_per_s=speed,
    )  # fmt: skip
    return {"break_even": found}


def _spot(
    options: CostOptions, hourly: float, devices: int, known: tuple[Price, ...]
) -> dict[str, object]:
    if options.spot is None:
        return {}
    price = options.spot or next((p.spot_usd_per_h for p in known if p.spot_usd_per_h), None)
    if not price:
        raise BadInput("цены spot для этой карты в каталоге нет", "Дайте её: --spot 1.2")
    if price * devices > hourly:
        raise BadInput(
            f"spot {price:g} USD/ч дороже on-demand {hourly / devices:g}", "Проверьте цены"
        )
    if options.job_hours <= 0 or options.interruptions < 0:
        raise BadInput("часы работы и прерывания не могут быть меньше нуля", "Например, 24 и 2")
    plan = SpotPlan(
        work_hours=options.job_hours,
        on_demand_usd_per_h=hourly,
        spot_usd_per_h=price * devices,
        interruptions_per_day=options.interruptions,
        checkpoint_every_hours=options.checkpoint,
        checkpoint_hours=0.02 * options.checkpoint if options.checkpoint else 0.0,
        lose_uncheckpointed=options.checkpoint is not None,
        fallback=options.fallback,
    )
    return {"spot": simulate_spot(plan), "spot_plan": plan}


def _traffic(options: CostOptions, tokens: TokenCost | None) -> dict[str, object]:
    assert options.trace is not None
    if options.cache_tokens <= 0:
        raise BadInput("--cache-tokens должен быть больше нуля", "Например, 500000")
    rows = load_trace(options.trace)
    if options.tokenizer is not None:
        encoder = Tokenizer.from_folder(options.tokenizer)
        pieces = [encoder.encode(row.text) for row in rows]
    else:
        pieces = [[crc32(piece.encode()) for piece in _PIECE.findall(row.text)] for row in rows]
    requests = [
        Request(row.text, found, row.output_tokens) for row, found in zip(rows, pieces, strict=True)
    ]
    found = study(requests, cache_tokens=options.cache_tokens, threshold=options.similarity)
    share = found.prefix_hit_share * tokens.prefill_share if tokens else None
    return {
        "traffic": found,
        "traffic_exact_tokens": options.tokenizer is not None,
        "traffic_saving_usd_share": share,
    }


def _where(option: Option) -> str:
    layout = option.query.layout
    degrees = (("TP", layout.tp), ("PP", layout.pp), ("DP", layout.dp), ("EP", layout.ep))
    spread = " ".join(f"{name}={degree}" for name, degree in degrees if degree > 1)
    where = f"{option.devices} × {option.gpu}, {option.query.weight_dtype}"
    return f"{where}, {spread}" if spread else where
