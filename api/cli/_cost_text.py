"""Figures of money in Russian, for a terminal."""

from collections.abc import Iterator
from datetime import date

from api.costs import CostReport
from knowledge.cost import TokenCost, Traffic
from knowledge.prediction import Figure
from knowledge.quantities import format_number

_PER_MILLION = "USD за 1M"


def render(found: CostReport, today: date) -> str:
    """All parts that were computed, one string."""
    return "\n".join(_lines(found, today))


def _lines(found: CostReport, today: date) -> Iterator[str]:
    if found.tokens is not None:
        yield from _tokens(found, found.tokens)
    if found.break_even is not None:
        yield from _api(found)
    if found.payback is not None:
        yield from _payback(found)
    if found.spot is not None:
        yield from _spot(found)
    if found.routing is not None:
        yield from _routing(found)
    if found.traffic is not None:
        yield from _traffic(found, found.traffic)
    yield f"Посчитано {today.isoformat()}."


def _tokens(found: CostReport, tokens: TokenCost) -> Iterator[str]:
    assert found.output_tokens_per_s is not None
    origin = "измерено вами" if found.measured else "прогноз, интервал 90 %"
    yield f"{found.deployment}: {_n(tokens.usd_per_hour, 2)} USD/ч ({found.price_note})"
    if found.price_stale:
        yield "  Цена старше 90 дней: проверьте её у провайдера или дайте свою (--price)."
    yield (
        f"  Throughput: {_f(found.output_tokens_per_s)} токенов/с на выходе ({origin}), запросы "
        f"{_n(found.input_tokens, 0)} + {_n(found.output_tokens, 0)} токенов"
    )
    yield f"  Весь счёт на выходные токены: {_f(tokens.output_usd)} {_PER_MILLION}"
    yield (
        f"  Счёт поделён по времени (prefill {_percent(tokens.prefill_share)}): вход "
        f"{_f(tokens.input_part_usd)}, выход {_f(tokens.output_part_usd)} {_PER_MILLION}"
    )
    yield f"  На все токены: {_f(tokens.blended_usd)} {_PER_MILLION}"
    if tokens.load_share < 1:
        yield f"  Сервер загружен {_percent(tokens.load_share)} оплаченного времени."
    yield "  Формула: USD/ч ÷ (выходных токенов/с · 3600 · загрузка) · 10⁶."


def _api(found: CostReport) -> Iterator[str]:
    even = found.break_even
    assert even is not None
    verdict = {True: "этого он достигает", False: "столько он не выдержит: API дешевле",
               None: "достижимо ли, решит замер"}[even.reachable]  # fmt: skip
    yield f"API: {_n(even.api_usd_per_request * 1000)} USD за 1000 таких запросов"
    yield (
        f"  Свой сервер дешевле от {_n(even.requests_per_hour, 0)} запросов/ч "
        f"({_n(even.million_tokens_per_month, 0)} млн токенов в месяц)"
    )
    yield f"  Это {_percents(even.load_share)} его возможностей: {verdict}"


def _payback(found: CostReport) -> Iterator[str]:
    back = found.payback
    assert back is not None
    share = back.saving_share
    yield f"Настройка стоит {_n(back.tuning_usd, 2)} USD"
    yield f"  Экономия на тех же токенах: {_percent(share.low)}…{_percent(share.high)} счёта"
    if back.hours is None or back.million_output_tokens is None:
        yield "  Окупится не наверняка: нижняя граница ускорения не больше 1"
        return
    yield (
        f"  Окупится за {_n(back.hours.low, 1)}…{_n(back.hours.high, 1)} ч работы "
        f"({_n(back.million_output_tokens.low)}…{_n(back.million_output_tokens.high)} "
        "млн выходных токенов)"
    )


def _spot(found: CostReport) -> Iterator[str]:
    spot, plan = found.spot, found.spot_plan
    assert spot is not None
    assert plan is not None
    kind = "пакетная работа с checkpoint" if plan.lose_uncheckpointed else "сервер"
    yield (
        f"Spot, {_n(plan.work_hours)} ч, {kind}, прерываний в сутки "
        f"{_n(plan.interruptions_per_day)} ({spot.runs} симуляций):"
    )
    yield (
        f"  Экономия {_percents(spot.saving_share)}: {_f(spot.cost_usd)} USD вместо "
        f"{_n(spot.on_demand_usd, 2)}"
    )
    yield (
        f"  Время {_f(spot.hours)} ч, прерываний {_f(spot.interruptions)}, "
        f"на on-demand {_f(spot.on_demand_hours)} ч"
    )
    if spot.worse_share > 0:
        yield f"  Дороже on-demand: {_percent(spot.worse_share)} симуляций"
    if spot.unfinished_share > 0:
        yield f"  Не закончено за 50-кратный срок: {_percent(spot.unfinished_share)} симуляций"
    yield (
        f"  Принято: новая машина готова через {_n(plan.start_hours * 60, 0)} мин, spot нет в "
        f"среднем {_n(plan.outage_hours * 60, 0)} мин"
        + (", тем временем on-demand" if plan.fallback else ", тем временем простой")
    )


def _routing(found: CostReport) -> Iterator[str]:
    routing = found.routing
    assert routing is not None
    yield (
        f"Маршрутизация: {_n(routing.cost_usd)} вместо {_n(routing.all_large_usd)} "
        f"{_PER_MILLION}, экономия {_percent(routing.saving_share)}"
    )
    yield (
        f"  Малой модели достанется {_percent(routing.to_small_share)} запросов; "
        f"сложных, на которые ответит она: {_percent(routing.bad_answers_share)} всех запросов"
    )
    least = routing.break_even_easy_share
    if least is None:
        yield "  При таких ценах и ошибках не окупается"
    elif least > 0:
        yield f"  Окупается, если простых запросов больше {_percent(least)}"


def _traffic(found: CostReport, traffic: Traffic) -> Iterator[str]:
    tokens = "токенов" if found.traffic_exact_tokens else "токенов (приближённо, без --tokenizer)"
    yield (
        f"Ваши запросы: {traffic.requests}, {_n(traffic.input_tokens, 0)} {tokens} на входе, "
        f"{_n(traffic.output_tokens, 0)} на выходе"
    )
    yield (
        f"  Prefix cache: {_percent(traffic.prefix_hit_share)} входных токенов не считать заново "
        f"(без предела памяти {_percent(traffic.prefix_hit_share_unbounded)})"
    )
    if found.traffic_saving_usd_share is not None:
        yield (
            f"    до {_percent(found.traffic_saving_usd_share)} счёта: доля prefill во времени, "
            "если освободившееся время займут другие запросы"
        )
    yield (
        f"  Semantic cache (сходство от {_n(traffic.threshold)}): повторов "
        f"{_percent(traffic.near_share)}, из них дословных {_percent(traffic.exact_share)} всех; "
        f"не порождать {_percent(traffic.near_output_share)} выходных токенов"
    )
    for first, second, alike in traffic.examples:
        yield f"    проверьте пару ({_n(alike)}): «{first}» и «{second}»"
    if traffic.near_share and traffic.examples:
        yield "    Похожий текст не значит тот же ответ: числа и отрицания меняют смысл."


def _n(value: float, digits: int | None = None) -> str:
    return format_number(value, digits)


def _f(figure: Figure) -> str:
    if figure.low == figure.high:
        return _n(figure.value)
    return f"{_n(figure.value)} ({_n(figure.low)}…{_n(figure.high)})"


def _percent(share: float) -> str:
    return f"{format_number(share * 100, 1)} %"


def _percents(share: Figure) -> str:
    value, low, high = (format_number(x * 100, 1) for x in (share.value, share.low, share.high))
    return f"{value} % ({low}…{high})" if share.low != share.high else f"{value} %"
