"""From what the user typed to a plan: the model, the cards, the load, the prices."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.planning import PlanRequest
from knowledge.devices import CatalogDevice, catalog, require_gpu
from knowledge.dtypes import canonical_dtype
from knowledge.errors import BadInput, BadModel
from knowledge.gpu_prices import Price, load_price_file, typical_price
from knowledge.known_models import find_architecture
from knowledge.model_facts import facts_from_config
from knowledge.objectives import default_objectives
from knowledge.prediction import Load
from knowledge.quantities import parse_slo
from knowledge.support import find_engine
from knowledge.types import ClosedLoop, ModelFacts, Objective, Slo

_COUNTED = re.compile(r"\s*(\d+)\s*[xх×*]\s*(.+)", re.IGNORECASE)
_MOST_GPUS = 64
_ANY = ("any", "любая", "all")


@dataclass(frozen=True)
class PlanOptions:
    """The options of `plan` and `cost`, as typed."""

    model: str
    gpu: Sequence[str]
    count: int | None = None
    engine: str = "vllm"
    workload: str = "chat"
    concurrency: int | None = None
    rate: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    dtype: Sequence[str] = ()
    kv_dtype: str | None = None
    slo: Sequence[str] = ()
    default_slos: bool = False
    objective: str = "latency"
    utilization: float = 0.9
    prices: Path | None = None


def request_of(options: PlanOptions) -> PlanRequest:
    """Everything checked before anything is computed. Raises BadInput."""
    name, path, facts = model_facts(options.model)
    engine = _engine(options.engine)
    prices = load_price_file(options.prices) if options.prices else ()
    gpus, counts = gpus_of(options.gpu, options.count, prices)
    load, shared = _load(options)
    _fits_context(load, facts, name)
    if not 0 < options.utilization <= 1:
        raise BadInput(
            f"--memory-utilization {options.utilization} не подходит", "Нужно число от 0 до 1"
        )
    slos = tuple(parse_slo(text) for text in options.slo)
    _no_contradiction(slos, load)
    return PlanRequest(
        model=name,
        path=path,
        facts=facts,
        gpus=gpus,
        counts=counts,
        engine=engine,
        load=load,
        dtypes=tuple(canonical_dtype(one) for one in options.dtype),
        kv_dtype=options.kv_dtype,
        slos=slos or (default_objectives(facts).slos if options.default_slos else ()),
        slos_are_default=options.default_slos and not slos,
        objective=_objective(options.objective),
        utilization=options.utilization,
        shared_prefix_tokens=shared,
        prices=prices,
    )


def model_facts(text: str) -> tuple[str, str, ModelFacts]:
    """Name, what an engine is given, and facts: a folder, a downloaded id, or a known name."""
    path = Path(text).expanduser()
    if path.is_dir():
        return path.resolve().name, str(path), _from_folder(path)
    if path.suffix == ".gguf" or path.is_file():
        raise BadModel(
            f"{text}: plan читает config.json, а это файл",
            "Дайте папку модели или её имя, например qwen2.5-7b",
        )
    match = find_architecture("smollm2-135m" if text == "demo" else text)
    if match.found is not None and (match.how == "exact" or "/" not in text):
        return match.found.title, match.found.hub, match.found.facts
    downloaded = _downloaded(text)
    if downloaded is not None:
        return text, text, _from_folder(downloaded)
    raise _unknown(text, match.near)


def _unknown(text: str, near: Sequence[str]) -> BadModel:
    shown = f"Похожие: {', '.join(near)}. " if near else ""
    if "/" in text and not text.startswith((".", "/", "~")):
        return BadModel(
            f"модели {text} нет ни в каталоге, ни в кэше хаба на этой машине (или доступ закрыт)",
            f"{shown}Скачайте её (hf download {text}) или дайте папку с config.json",
        )
    return BadModel(
        f"модель «{text}» не найдена ни на диске, ни в каталоге архитектур",
        f"{shown}Или дайте папку с config.json",
    )


def _from_folder(folder: Path) -> ModelFacts:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise BadModel(
            f"папка {folder} — не модель: в ней нет config.json",
            "Дайте папку модели в формате Hugging Face",
        ) from None
    except ValueError as error:
        raise BadModel(f"файл {file} — не JSON: {error}", "Скачайте его заново") from None
    if not isinstance(config, dict):
        raise BadModel(f"файл {file} — не объект JSON", "Скачайте его заново")
    return facts_from_config(config)


def _downloaded(text: str) -> Path | None:
    from tools.models import downloaded

    return downloaded(text)


def gpus_of(
    texts: Sequence[str], count: int | None, prices: Sequence[Price]
) -> tuple[tuple[CatalogDevice, ...], tuple[int, ...]]:
    """Cards and counts: «h100», «2xA100-80», several, or «any» (every card with a price)."""
    if any(text.strip().lower() in _ANY for text in texts):
        every = catalog("gpu")
        priced = [gpu for gpu in every if typical_price(gpu.stem, user=prices) is not None]
        return tuple(gpu for gpu in priced if gpu.device.kind == "cuda"), _counts(count)
    gpus, counted = [], []
    for text in (part for given in texts for part in given.split(",") if part.strip()):
        match = _COUNTED.fullmatch(text)
        gpus.append(require_gpu(match[2] if match else text))
        if match:
            counted.append(int(match[1]))
    given = {*counted, *([count] if count is not None else [])}
    if len(given) > 1:
        shown = ", ".join(str(one) for one in sorted(given))
        raise BadInput(
            f"число GPU задано по-разному: {shown}", "Оставьте одно: --gpu 2xh100 или --count 2"
        )
    unique = tuple({gpu.stem: gpu for gpu in gpus}.values())
    return unique, _counts(given.pop() if given else None)


def _counts(count: int | None) -> tuple[int, ...]:
    if count is None:
        return (1, 2, 4, 8)
    if not 1 <= count <= _MOST_GPUS:
        raise BadInput(f"число GPU {count} не подходит", f"Нужно от 1 до {_MOST_GPUS}")
    return (count,)


def _engine(text: str) -> str:
    match = find_engine(text)
    if match.found is None:
        near = ", ".join(match.near) or "vllm, sglang, tensorrt-llm"
        raise BadInput(f"неизвестный движок «{text}»", f"Похожие: {near}")
    return match.found.stem


def _objective(text: str) -> Objective:
    from api.tasks import objective_of

    return objective_of(text)


def _load(options: PlanOptions) -> tuple[Load, int]:
    """Mean lengths of the workload, or exactly what was typed."""
    from api.tasks import Request, workload_of

    workload = workload_of(
        Request(model=options.model, workload=options.workload, concurrency=options.concurrency,
                rate=options.rate)
    )  # fmt: skip
    for name, value in (("--input-tokens", options.input_tokens),
                        ("--output-tokens", options.output_tokens)):  # fmt: skip
        if value is not None and value <= 0:
            raise BadInput(f"{name}: {value} не подходит", "Нужно число больше нуля")
    lengths = {
        "input_tokens": float(options.input_tokens or workload.input_tokens.mean),
        "output_tokens": float(options.output_tokens or workload.output_tokens.mean),
    }
    arrival = workload.arrival
    if isinstance(arrival, ClosedLoop):
        load = Load(concurrency=arrival.concurrency, **lengths)
    elif arrival.max_in_flight is not None and options.rate is None:
        load = Load(concurrency=arrival.max_in_flight, **lengths)
    else:
        load = Load(rate_per_s=arrival.rate_per_s, **lengths)
    return load, workload.shared_prefix_tokens


def _fits_context(load: Load, facts: ModelFacts, name: str) -> None:
    longest = load.input_tokens + load.output_tokens
    if longest > facts.max_position:
        raise BadInput(
            f"запрос до {longest:.0f} токенов, а контекст {name} — {facts.max_position}",
            "Уменьшите --input-tokens или --output-tokens",
        )


def _no_contradiction(slos: Sequence[Slo], load: Load) -> None:
    """An E2E limit below the TTFT limit, or below what the TPOT limit alone would take."""
    limits = {slo.metric.value.split("_")[0]: slo.limit for slo in slos}
    e2e, ttft = limits.get("e2e"), limits.get("ttft")
    if e2e is not None and ttft is not None and e2e < ttft:
        raise BadInput(
            f"SLO противоречат друг другу: e2e {e2e:g} ms меньше ttft {ttft:g} ms",
            "E2E включает TTFT: исправьте один из них",
        )
    if load.rate_per_s is not None and load.rate_per_s > 10_000:
        raise BadInput(f"--rate {load.rate_per_s:g}: столько запросов в секунду не бывает",
                       "Проверьте единицы: запросы в секунду")  # fmt: skip
