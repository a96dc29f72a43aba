"""A flow of requests: how many devices carry it, or what flow the devices carry."""

from collections.abc import Callable

from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    offer_session,
)
from advisor.consultation.calculators import money
from advisor.consultation.calculators.capacity import (
    HEADROOM,
    USUAL_CARDS,
    Fleet,
    Goals,
    Point,
    best_point,
    fleet_for_rate,
    fleet_for_streams,
    sweep,
)
from advisor.consultation.calculators.memory import fewest
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, device_of, resolve
from advisor.consultation.writing import Draft
from knowledge.gpu_prices import typical_price
from knowledge.objectives import default_objectives

_PEAK = 3.0
Find = Callable[[Setting], Fleet | None]
_COUNT = (
    r"сколь(ко|ки)[^.?]{0,25}(карт|видеокарт|gpu|гпу|реплик|сервер|нод|узл|экземпляр|ускорител|⟦|"
    r"[hablt]\d|rtx)|how many|хватит|потян|вытян|справ|вывез|нужно|прикид|прикинь|рассчита|"
    r"посчита|обслуж|держать|нужен"
)
_WHICH = (
    r"как\w+ (?:карт|видеокарт|gpu|гпу|желез|сервер|конфиг)|на ч[её]м|"
    r"что (?:брать|взять|купить)"
)
_RATE = (
    r"(сколько|какой|какое|какую|max\w*|макс\w*|предел\w*|how many)[^.?]{0,25}"
    r"(rps|qps|рпс|запрос\w* (в|за) (секунд|минут|час)|requests? (per|a) |запр/с)"
)
_UNTIL = (
    r"(при каком|до какого|до скольки|на каком)[^.?]{0,25}(числе|количеств|юзер|пользоват|нагрузк|"
    r"запрос)[^.?]{0,40}(tpot|ttft|уклады|sl[oa]|задерж)"
)


EXAMPLES = (
    "обслуживаем # запросов в сутки сколько карт",
    "сколько карт нужно на # запросов в секунду модель",
    "хватит ли карта на # rps модель",
    "# запросов в минуту вход # выход # сколько gpu",
    "сколько реплик нужно чтобы обслужить # запросов в секунду",
    "хочу # токенов в секунду на юзера # юзеров сколько карт нужно",
    "сколько запросов в минуту выдаст карта с моделью",
    "какой rps выдержит карта",
    "how many gpus for # requests per second",
    "прикинь мощность под # запр/с",
    "при каком числе юзеров модель перестанет укладываться в tpot",
)
NEEDS = ("has_model",)
COVERS = (
    "concurrency",
    "fit",
    "speed",
    "volume",
)
PART = True


def score(question: Question) -> float:
    own, frame = question.own, question.frame
    if not question.has_model or (frame.e2e_ms and not frame.output_tokens):
        return 0
    cases = (
        (question.has(_UNTIL), 9.3),
        (question.has(_RATE) and not own.requests_per_s, 9.3),
        (own.requests_per_s, 9.4),
        (frame.concurrency and own.user_tokens_per_s and question.has(_COUNT), 9.4),
        (own.requests_per_day and question.has(rf"{_COUNT}") and not _judged(question), 9.2),
        (own.requests_per_day and not frame.gpus and question.has(_WHICH), 9.2),
        (own.tokens_per_day and not frame.gpus, 9.2),
        (frame.rate_per_s and question.follow_up and own.gpus, 7.0),
    )
    return next((value for holds, value in cases if holds), 0.0)


def _judged(question: Question) -> bool:
    """A named deployment is judged against a day's volume elsewhere."""
    return bool(question.frame.gpus) and not question.has(r"сколь(ко|ки)|how many")


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
    assert setting is not None
    frame = question.frame
    goals = _goals(question, setting, draft)
    rate = frame.rate_per_s
    if frame.tokens_per_day and not rate:
        rate = frame.tokens_per_day / 86400 / setting.output_tokens
        draft.work(
            f"{draft.num(frame.tokens_per_day / 1e6, 1)} млн токенов в сутки / 86 400 с /"
            f" {setting.output_tokens} токенов ответа = {draft.num(rate, 2)} запросов в секунду",
            f"{frame.tokens_per_day:g} tokens a day / 86,400 s / {setting.output_tokens}",
        )
    if rate and not frame.requests_per_s:
        rate *= _PEAK
        draft.assume("пик втрое выше среднего за сутки", "the peak is three times the mean")
    if rate:
        fleet = _fleet(question, setting, draft, lambda one: fleet_for_rate(one, rate, goals))
        _for_rate(question, fleet, rate, draft)
    elif frame.concurrency and frame.user_tokens_per_s:
        streams = frame.concurrency
        fleet = _fleet(question, setting, draft, lambda one: fleet_for_streams(one, streams, goals))
        _for_streams(question, fleet, streams, draft)
    else:
        _ceiling(question, setting, goals, draft)


def _goals(question: Question, setting: Setting, draft: Draft) -> Goals:
    frame = question.frame
    tpot = frame.tpot_ms or (1000 / frame.user_tokens_per_s if frame.user_tokens_per_s else None)
    if tpot is None and not frame.e2e_ms:
        tpot = default_objectives(setting.facts).band.tpot_ms.high
        draft.assume(
            f"цель TPOT ≤ {tpot:g} мс (обычная для такого размера); строже — карт больше",
            f"goal TPOT ≤ {tpot:g} ms (usual for the size)",
        )
    return Goals(ttft_ms=frame.ttft_ms, tpot_ms=tpot, e2e_ms=frame.e2e_ms)


def _fleet(question: Question, setting: Setting, draft: Draft, find: Find) -> Fleet | None:
    """On the named device; without one, the cheapest of the usual cards."""
    if setting.gpu is not None:
        return find(setting)
    every = []
    for stem in USUAL_CARDS:
        fleet = find(setting.change(gpu=device_of(stem)))
        price = typical_price(stem)
        if fleet and price and price.on_demand_usd_per_h:
            every.append((price.on_demand_usd_per_h * fleet.devices, fleet))
    if not every:
        return None
    every.sort(key=lambda pair: pair[0])
    rows = ["| Карты | Реплик | $/час |", "| --- | --- | --- |"]
    for hourly, fleet in every:
        gpu = fleet.point.setting.card
        rows.append(
            f"| {devices(draft, gpu, fleet.devices)} | {fleet.replicas} | {draft.money(hourly)} |"
        )
    draft.add("\n".join(rows))
    draft.assume(
        "GPU не названа: взята самая дешёвая из L4, L40S, A100, H100, H200",
        "no GPU was named: the cheapest of L4, L40S, A100, H100, H200",
    )
    return every[0][1]


def _none(draft: Draft) -> None:
    draft.lead(
        "**Под эти цели не хватит ни одной раскладки до 8 карт на реплику**: по прогнозу их не"
        " держит даже один запрос. Ослабьте SLO, возьмите более узкий формат весов, меньшую модель"
        " или карту быстрее.",
        "**No layout of up to 8 devices per replica meets these goals**, even with one request.",
    )


def _for_rate(question: Question, fleet: Fleet | None, rate: float, draft: Draft) -> None:
    if fleet is None:
        _none(draft)
        return
    point = fleet.point
    one, speed = point.setting, point.seen.output_tokens_per_s
    output = one.output_tokens
    flight = rate * point.seconds
    draft.note_figure("devices", fleet.devices)
    draft.note_figure("replicas", fleet.replicas)
    _verdict(question, fleet, draft, f"{draft.num(rate, 1)} запросов в секунду")
    draft.work(
        f"нужно {draft.num(rate, 2)} запр./с × {output} токенов ответа ="
        f" {draft.num(rate * output, 0)} ток/с на выходе (и"
        f" {draft.num(rate * one.input_tokens, 0)} ток/с prefill)",
        f"{rate:.2f} requests/s × {output} output tokens = {rate * output:.0f} tok/s",
    )
    draft.work(
        f"одна реплика ({devices(draft, one.card, one.count)}) при {point.streams} одновременных:"
        f" {draft.interval(speed, 'ток/с', 'tok/s')}, то есть"
        f" {draft.num(point.requests_per_s, 1)} запр./с; планируем на {HEADROOM:.0%}".replace(
            "%", " %"
        )
        + f": {draft.num(rate * output, 0)} / ({draft.num(speed.value, 0)} ×"
        f" {draft.num(HEADROOM, 1)}) → {fleet.replicas}",
        f"one replica at {point.streams} concurrent: {draft.interval(speed, 'ток/с', 'tok/s')};"
        f" planned at {HEADROOM:.0%}: {fleet.replicas} replicas",
    )
    draft.work(
        f"закон Литтла: {draft.num(rate, 2)} запр./с × {draft.num(point.seconds, 1)} с на ответ ="
        f" {draft.num(flight, 0)} запросов в работе, {draft.num(flight / fleet.replicas, 0)} на"
        " реплику",
        f"Little's law: {rate:.2f} × {point.seconds:.1f} s = {flight:.0f} in flight",
    )
    _finish(question, fleet, draft)


def _for_streams(question: Question, fleet: Fleet | None, streams: int, draft: Draft) -> None:
    if fleet is None:
        _none(draft)
        return
    draft.note_figure("devices", fleet.devices)
    speed = question.frame.user_tokens_per_s or 0
    _verdict(
        question,
        fleet,
        draft,
        f"{streams} одновременных запросов по {draft.num(speed, 0)} ток/с каждому",
    )
    draft.work(
        f"{draft.num(speed, 0)} ток/с каждому — это TPOT ≤ {draft.num(1000 / speed, 1)} мс; одна"
        f" реплика держит его до {fleet.point.streams} одновременных; {streams} /"
        f" {fleet.point.streams} → {fleet.replicas}",
        f"TPOT ≤ {1000 / speed:.1f} ms holds up to {fleet.point.streams} at once per replica",
    )
    _finish(question, fleet, draft)


def _verdict(question: Question, fleet: Fleet, draft: Draft, load: str) -> None:
    """How many, or whether what was named is enough."""
    one, seen = fleet.point.setting, fleet.point.seen
    where = devices(draft, one.card, fleet.devices)
    asked = question.has(r"хватит|потян|справ|вывез|вытян|достаточно|enough")
    named = question.frame.devices or (1 if question.frame.gpus and asked else None)
    spread = (
        ""
        if fleet.fewest == fleet.most
        else draft.say(
            f" (по краям 90 % интервала — от {fleet.fewest * one.count} до"
            f" {fleet.most * one.count})",
            f" (90 % interval {fleet.fewest * one.count} to {fleet.most * one.count})",
        )
    )
    word = ""
    if named and question.frame.gpus and not question.has(r"сколь(ко|ки)[^.?]{0,20}(карт|gpu)"):
        enough = fleet.devices <= named
        word = draft.say(
            f"**{'Хватит' if enough else 'Не хватит'}:** названо {named}. ",
            f"**{'Enough' if enough else 'Not enough'}** with {named}. ",
        )
    plus = f", PP={one.layout.pp}" if one.layout.pp > 1 else ""
    draft.lead(
        f"{word}Нужно **{where}**{spread}: {fleet.replicas}"
        f" {_replicas(fleet.replicas)} {one.subject.title} в {one.label} по {one.count} GPU"
        f" (TP={one.layout.tp}{plus}) на {load}, вход {draft.num(one.input_tokens, 0)}, выход"
        f" {draft.num(one.output_tokens, 0)}. Ожидается ({seen.speed_provenance.russian}, 90 %"
        f" интервал) TTFT {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}.",
        f"{word}You need **{where}**{spread}: {fleet.replicas} replica(s) of {one.subject.title} in"
        f" {one.label}, {one.count} GPU each. Expected"
        f" ({draft.provenance(seen.speed_provenance)}): TTFT"
        f" {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}.",
    )


def _replicas(count: int) -> str:
    last, tens = count % 10, count % 100
    if last == 1 and tens != 11:
        return "реплика"
    return "реплики" if last in (2, 3, 4) and tens not in (12, 13, 14) else "реплик"


def _finish(question: Question, fleet: Fleet, draft: Draft) -> None:
    one = fleet.point.setting
    price = typical_price(one.card.stem)
    said = question.frame.gpu_hour
    if said or (price and price.on_demand_usd_per_h is not None):
        each = said.value if said else (price and price.on_demand_usd_per_h) or 0.0
        sign = said.currency if said else "$"
        hourly = each * fleet.devices
        draft.add(
            f"Стоит это {draft.money(hourly, sign)} в час,"
            f" {draft.money(hourly * money.HOURS_PER_MONTH, sign)} в месяц круглосуточно"
            f" ({draft.money(each, sign)}/час за карту).",
            f"That is {draft.money(hourly, sign)} per hour.",
        )
        if price and not said:
            draft.cite(price.describe(question.services.today))
            if price.is_stale(question.services.today):
                draft.warn("Цена старше 90 дней: уточните у провайдера.", "The price is old.")
    draft.add(
        "На отказ и обновление добавьте ещё одну реплику; число проверьте нагрузкой на одной"
        " реплике: `advisor bench URL --rate …` покажет, при каком потоке SLO ещё держится.",
        "Add one replica for failures, and verify one replica with `advisor bench URL --rate …`.",
    )
    assumptions(draft, one, skip=("одновременных", "одна "))
    cite_setting(draft, one)
    cite_prediction(draft, fleet.point.seen)
    offer_session(draft, question)


def _ceiling(question: Question, setting: Setting, goals: Goals, draft: Draft) -> None:
    """The highest flow of a named deployment within the goals."""
    if setting.gpu is None:
        setting = setting.change(gpu=device_of("h100-sxm"))
        draft.assume("GPU не названа: одна H100", "no GPU was named: one H100")
    if not question.frame.devices:
        least = fewest(setting.change(concurrency=1))
        setting = setting.change(count=least[0] if least else setting.count)
    point = best_point(setting, goals)
    where = devices(draft, setting.card, setting.count)
    if point is None:
        points = sweep(setting)
        draft.lead(
            f"{setting.subject.title} в {setting.label} на {where} "
            + ("в память не помещается." if not points else "не держит цель и при одном запросе."),
            f"{setting.subject.title} on {where} does not meet the goal.",
        )
        return
    _flow(setting, point, where, draft)
    rows = [_row(one, goals, draft) for one in sweep(setting, (1, 4, 8, 16, 32, 64, 128, 256))]
    head = draft.say(
        "| Одновременно | TTFT, мс | TPOT, мс | Запросов в минуту | В цели |",
        "| At once | TTFT, ms | TPOT, ms | Requests per minute | Holds |",
    )
    draft.add("\n".join([head, "| --- | --- | --- | --- | --- |", *rows]))
    assumptions(draft, setting, skip=("одновременных",))
    cite_setting(draft, setting)
    cite_prediction(draft, point.seen)
    offer_session(draft, question)


def _flow(setting: Setting, point: Point, where: str, draft: Draft) -> None:
    seen, rate = point.seen, point.requests_per_s
    draft.note_figure("requests_per_s", rate)
    draft.note_figure("streams", point.streams)
    draft.lead(
        f"Около **{draft.num(rate * 60, 0)} запросов в минуту** ({draft.num(rate, 1)} в секунду,"
        f" {draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')};"
        f" {seen.speed_provenance.russian}, 90 % интервал) при **{point.streams} одновременных**:"
        f" {setting.subject.title} в {setting.label} на {where}, вход"
        f" {draft.num(setting.input_tokens, 0)}, выход {draft.num(setting.output_tokens, 0)}. Это"
        " предел в пределах цели: планируйте на 80 % от него, дальше растёт очередь.",
        f"About **{rate * 60:.0f} requests per minute** at {point.streams} concurrent"
        f" ({draft.provenance(seen.speed_provenance)}).",
    )
    draft.work(
        f"{draft.num(seen.output_tokens_per_s.value, 0)} ток/с / {setting.output_tokens} токенов"
        f" ответа = {draft.num(rate, 2)} запр./с",
        f"{seen.output_tokens_per_s.value:.0f} tok/s / {setting.output_tokens} = {rate:.2f}/s",
    )


def _row(point: Point, goals: Goals, draft: Draft) -> str:
    seen = point.seen
    holds = goals.hold(seen, point.setting.output_tokens)
    return (
        f"| {point.streams} | {draft.num(seen.ttft_ms.value, 0)} |"
        f" {draft.num(seen.tpot_ms.value, 1)} | {draft.num(point.requests_per_s * 60, 0)} |"
        f" {draft.say('да' if holds else 'нет', 'yes' if holds else 'no')} |"
    )
