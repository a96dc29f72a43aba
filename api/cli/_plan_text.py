"""A plan in Russian, for a terminal."""

from collections.abc import Iterator
from datetime import date

from advisor.planning import Option, Plan
from knowledge.prediction import Figure, Neighbour, Provenance
from knowledge.quantities import format_bytes, format_number, format_slo
from knowledge.types import ModelFacts

_MOST_OPTIONS = 6


def render(plan: Plan, today: date) -> str:
    """All sections, one string."""
    return "\n".join(_lines(plan, today))


def _lines(plan: Plan, today: date) -> Iterator[str]:
    request = plan.request
    yield f"План: {request.model} ({_size(request.facts)}), движок {request.engine}"
    yield f"Нагрузка: {_load(plan)}"
    if request.slos:
        origin = " (по умолчанию, задайте свои: --slo)" if request.slos_are_default else ""
        yield "SLO: " + "; ".join(format_slo(slo) for slo in request.slos) + origin
    for name, short in plan.not_fitting:
        yield f"Не помещается: {name}, не хватает {format_bytes(short)} на каждом GPU"
    best = plan.best
    if best is None:
        yield "Ни один вариант не помещается в память."
        yield _way_out(plan)
        return
    yield ""
    yield from _best(plan, best, today)
    if len(plan.options) > 1:
        yield ""
        yield "Другие варианты (TPOT / TTFT / токенов/с / USD за 1M выходных токенов):"
        for option in plan.options[1:_MOST_OPTIONS]:
            yield f"  {_brief(option)}"
    yield ""
    yield from _neighbours(best)
    yield from _ideas(plan)
    if plan.command:
        yield "Запуск:"
        if plan.checkpoint_needed:
            yield (
                f"  Сначала нужен чекпойнт {plan.checkpoint_needed}: готовый или сделанный "
                "LLM Compressor; проверьте на нём качество."
            )
        yield "  " + " ".join(plan.command)
    yield (
        "Это прогноз, а не замер: TTFT и TPOT относятся к середине распределения, p95 выше. "
        "Проверить: advisor optimize, advisor bench."
    )


def _best(plan: Plan, best: Option, today: date) -> Iterator[str]:
    found, memory = best.prediction, best.memory
    head = "Лучший вариант" if plan.feasible or not plan.request.slos else "Ближе всего к SLO"
    yield f"{head}: {_where(best)}"
    if found.speed_provenance is not Provenance.PREDICTED:
        word = {
            "measured_here": "калиброван по вашим испытаниям этой конфигурации",
            "measured_elsewhere": "опирается на чужие замеры этой же конфигурации",
        }
        yield f"  Прогноз {word[found.speed_provenance.value]}."
    else:
        yield "  Прогноз: замеров этой конфигурации нет, интервал 90 %."
    yield f"  TTFT {_ms(found.ttft_ms)}"
    yield f"  TPOT {_ms(found.tpot_ms)}"
    yield f"  E2E {_ms(best.e2e_ms)}"
    yield f"  Throughput {_figure(found.output_tokens_per_s)} токенов/с на выходе"
    share = best.query.device.memory_bytes
    yield (
        f"  Память на GPU: {format_bytes(found.memory_bytes.value)} из {format_bytes(share)}: "
        f"веса {format_bytes(memory.weights_bytes)}, активации "
        f"{format_bytes(memory.activations_bytes + memory.outside_bytes + memory.graphs_bytes)}, "
        f"на KV cache остаётся {format_bytes(memory.kv_budget_bytes)}"
    )
    most = found.max_concurrency
    yield (
        f"  Одновременно в KV cache: {format_number(most.value, 0)} запросов такой длины "
        f"({format_number(most.low, 0)}…{format_number(most.high, 0)})"
    )
    for slo, promise in best.promises:
        yield f"  {format_slo(slo)}: {promise.russian}"
    yield from _money(best, today)
    for note in found.notes:
        yield f"  Осторожно: {note}"
    if best.support.level == "converted":
        yield f"  Осторожно: {best.support.why}"


def _money(best: Option, today: date) -> Iterator[str]:
    if best.cost is None or best.price is None:
        yield f"  Цена {best.gpu} неизвестна: дайте свою в --prices ФАЙЛ.yaml"
        return
    cost = best.cost
    yield (
        f"  Цена: {_usd(cost.output_usd)} за 1M выходных токенов; "
        f"с разделением по времени: вход {_usd(cost.input_part_usd)}, "
        f"выход {_usd(cost.output_part_usd)}"
    )
    yield (
        f"  Счёт {format_number(cost.usd_per_hour, 2)} USD/ч за {best.devices} GPU "
        f"({best.price.describe(today)})"
    )


def _brief(option: Option) -> str:
    found = option.prediction
    money = format_number(option.cost.output_usd.value, 2) if option.cost else "?"
    mark = "" if option.good else ("  (очередь)" if found.saturated else "  (SLO под вопросом)")
    return (
        f"{_where(option)}: {format_number(found.tpot_ms.value, 1)} ms / "
        f"{format_number(found.ttft_ms.value, 0)} ms / "
        f"{format_number(found.output_tokens_per_s.value, 0)} / {money}{mark}"
    )


def _neighbours(best: Option) -> Iterator[str]:
    near = best.prediction.neighbours
    if not near:
        yield (
            "Близких замеров нет. Чужие замеры для Hopper и Blackwell даёт "
            "pip install 'inference-advisor[predict]', свои — advisor optimize."
        )
        return
    yield "Ближайшие реальные замеры:"
    for one in near:
        yield f"  {_neighbour(one)}"


def _neighbour(one: Neighbour) -> str:
    seen = one.observation
    where = "измерено здесь" if seen.source == "here" else "измерено не нами"
    other = f"; отличается: {', '.join(one.differs_in)}" if one.differs_in else ""
    when = f", {seen.measured_on}" if seen.measured_on else ""
    ttft = format_number(seen.ttft_ms) if seen.ttft_ms else "?"
    tpot = format_number(seen.tpot_ms) if seen.tpot_ms else "?"
    return (
        f"TTFT {ttft} ms, TPOT {tpot} ms — {where} ({seen.reference}{when}): {seen.model}, "
        f"{seen.device}, {seen.engine}{other}"
    )


def _ideas(plan: Plan) -> Iterator[str]:
    if not plan.ideas:
        return
    yield f"Что пробовать первым (ускорение по {plan.ideas[0].metric.value}, ожидание из карточек):"
    for one in plan.ideas:
        effect = one.predicted_speedup
        risk = "" if one.quality_risk == "none" else f", риск для качества: {one.quality_risk}"
        yield (
            f"  {one.title} ({one.label}): ×{format_number(effect.low, 2)}…"
            f"{format_number(effect.high, 2)}{risk}"
        )


def _way_out(plan: Plan) -> str:
    asked = plan.request.counts
    if len(asked) == 1:
        return "Возьмите больше GPU (--count), карту с большей памятью или --dtype int4."
    return "Возьмите карту с большей памятью или --dtype int4 (fp8)."


def _where(option: Option) -> str:
    layout = option.query.layout
    degrees = (("TP", layout.tp), ("PP", layout.pp), ("DP", layout.dp), ("EP", layout.ep))
    spread = " ".join(f"{name}={degree}" for name, degree in degrees if degree > 1)
    return f"{option.devices} × {option.gpu}, {option.query.weight_dtype}" + (
        f", {spread}" if spread else ""
    )


def _size(facts: ModelFacts) -> str:
    total = format_number(facts.parameters / 1e9, 1)
    if facts.experts:
        return (
            f"{total} млрд параметров, активных {format_number(facts.active_parameters / 1e9, 1)}"
        )
    return f"{total} млрд параметров"


def _load(plan: Plan) -> str:
    load = plan.request.load
    shape = f"{load.input_tokens:.0f} токенов на входе, {load.output_tokens:.0f} на выходе"
    if load.concurrency is not None:
        return f"{shape}, {load.concurrency:.0f} запросов одновременно"
    assert load.rate_per_s is not None
    rate = format_number(load.rate_per_s)
    if plan.best is None:
        return f"{shape}, {rate} запросов/с"
    return (
        f"{shape}, {rate} запросов/с (по закону Литтла в работе "
        f"≈ {format_number(plan.best.prediction.concurrency, 0)})"
    )


def _ms(figure: Figure) -> str:
    return f"{_figure(figure)} ms"


def _usd(figure: Figure) -> str:
    return f"{_figure(figure)} USD"


def _figure(figure: Figure) -> str:
    value, low, high = (format_number(x) for x in (figure.value, figure.low, figure.high))
    return f"{value} ({low}…{high})"
