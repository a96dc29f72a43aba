"""Which GPU, how many, in which format: every sensible deployment by price."""

from advisor.consultation.answers._common import (
    ask,
    assumptions,
    cite_gpu,
    cite_model,
    cite_prediction,
    offer_session,
)
from advisor.consultation.calculators import formats
from advisor.consultation.calculators.capacity import Goals, sweep, whole_ms
from advisor.consultation.calculators.choice import Option, options
from advisor.consultation.calculators.memory import weights_bytes
from advisor.consultation.question import Question
from advisor.consultation.setting import LABELS, Setting, resolve
from advisor.consultation.writing import Draft
from advisor.report.numbers import plural
from knowledge.devices import catalog
from knowledge.objectives import default_objectives

_TROUBLE = r"почему|сейчас|у нас (ttft|tpot)|медлен|тормоз|сколько (ждать|времени)|нормальн"
_BUY = r"что (купить|взять|брать)|какой сервер|какие сервера|что нужно купить|what to buy"
_ASK = (
    r"(как\w+|что|кот\w+|на"
    r" ч[её]м|which|what)[^.?]{0,40}(gpu|гпу|карт|желез|видюх|видеокарт|ускорител|"
    r"hardware|взять|выбрать|купить|арендовать|брать)|посовет|порекоменд|подбер|подобра|"
    r"подскажи.*(карт|gpu|желез)|варианты|на"
    r" ч[её]м (лучше |дешевле |выгоднее |всего |можно |проще"
    r" )*(запуск|держ|крут|хост|сервить|гонять|разверн|подня)|"
    r"сколь(ко|ки)\s*(мне\s+|нам\s+|нужно\s+|надо\s+|потребу\w+\s+)*(gpu|карт|видеокарт|ускорит|видюх)"
)


EXAMPLES = (
    "какую карту выбрать для модели",
    "на чем запускать модель",
    "какое железо нужно для модели",
    "что купить для модели",
    "самая дешевая карта под модель",
    "посоветуй сервер для модели на # пользователей",
    "бюджет # в месяц какую карту взять",
    "бюджет # долларов сколько пользователей потянем",
    "what gpu do i need for # users",
    "which gpu for модель",
    "хочу ответ за # секунды какое железо",
    "подбери конфигурацию",
)
PART = True


_FLAG = r"gpu[-_ ]mem\w*|max[-_]\w+|num[-_]\w+|--\w+"
_HARDWARE = (
    r"gpu|гпу|карт|желез|видюх|ускорит|hardware|сервер|железк|машин|бюджет|budget|\$|доллар|руб|"
    r"юзер|пользоват|человек|сотрудник|студент|users|people|модел|model|llm|нейро|конфигурац"
)
_COSTS = r"сколько[^.?]{0,20}(сто[ия]|обойд|выйдет)|почем(?!у)|во сколько обойд|бюджет\w* на|цена"
_HOW_MANY = r"сколько[^.?]{0,25}(пользоват|юзер|человек|запрос|клиент)|how many"
_THRIFTY = (
    r"минимальн|хоть как|лишь бы|слаб\w+ карт|"
    r"дешев|недорог|бюджет|эконом|денег|дома|домашн|игров|локальн|видюх|видеокарт|cheap|budget|"
    r"\$|доллар|руб"
)
_PATIENCE_MS = 1000.0
"""A first token that a chat user still waits for."""


def score(question: Question) -> float:
    frame, own, model = question.frame, question.own, question.has_model
    if question.has(r"какую (точност|квант)|квантизац|команд|флаг|настройк|какой (батч|batch)"):
        return 0
    if not model and (question.has(_FLAG) or not (frame.gpus or question.has(_HARDWARE))):
        return 0
    goal = own.ttft_ms or own.tpot_ms or own.e2e_ms or own.user_tokens_per_s
    asked, placed = question.has(_ASK), bool(frame.gpus)
    advice = question.has(r"посовет|подбер|варианты|что взять")
    cases = (
        (model and own.budget_month and not placed, 8.8),
        ((own.people or own.concurrency) and not placed and question.has(_COSTS), 8.6),
        (question.has(_BUY) and not placed, 8.0 if model else 6.2),
        (model and goal and not placed and not question.has(_TROUBLE), 7.4),
        (not asked and model and (frame.gpu_hour or frame.ttft_ms) and not placed, 2.5),
        (not asked, 0.0),
        (len(frame.gpus) >= 2, 5.0),
        (placed and not advice, 3.0),
        (frame.schemes and not model, 2.0),
        (model, 8.0),
    )
    return next((value for holds, value in cases if holds), 6.0)


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame) or _example(question, draft)
    _purchase(question, draft)
    if setting is None:
        ask(
            draft,
            "Какая модель (или сколько параметров), какой контекст, сколько одновременных запросов"
            " и какая задержка нужна (TTFT, TPOT)? Тогда посчитаю варианты с ценой.",
            "Which model, what context, how many concurrent requests, what latency? Then I'll price"
            " the options.",
        )
        return
    frame = question.frame
    goals = default_objectives(setting.facts)
    e2e = frame.e2e_ms
    strict = 200.0 if not (frame.ttft_ms or e2e) else None
    ttft = frame.ttft_ms or (None if e2e else _PATIENCE_MS)
    tpot = frame.tpot_ms or (
        1000 / frame.user_tokens_per_s
        if frame.user_tokens_per_s
        else (None if e2e else goals.band.tpot_ms.high)
    )
    thrifty = question.has(_THRIFTY)
    schemes = frame.schemes or _schemes(setting, thrifty=thrifty)
    every = options(
        setting, schemes=schemes, ttft_ms=ttft, tpot_ms=tpot, e2e_ms=e2e, thrifty=thrifty
    )
    budget = frame.gpu_hour.value if frame.gpu_hour and frame.gpu_hour.currency == "$" else None
    if budget is None and frame.budget_month and frame.budget_month.currency == "$":
        budget = frame.budget_month.value / 730
    found = [
        o for o in every if budget is None or (o.per_hour is not None and o.per_hour <= budget)
    ]
    if frame.gpu_hour and frame.gpu_hour.currency != "$":
        draft.warn(
            "Каталог цен — в долларах; назовите курс, и я сравню с вашим бюджетом в рублях. Пока"
            " бюджет не применён."
        )
    if not found:
        _nothing(setting, every, budget, draft)
        return
    _table(question, setting, found, (ttft, tpot), budget, draft)
    best = found[0].per_hour
    if best is not None and question.has(r"месяц|month|мес\b"):
        draft.lead(
            f"Круглосуточно это **{draft.money(best * 730)} в месяц**; на отказ и пик закладывайте"
            f" вторую реплику, то есть до {draft.money(best * 1460)}.",
            f"That is **{draft.money(best * 730)} a month** around the clock.",
        )
    if strict:
        _strict(found, strict, tpot, draft)
    if budget and question.has(_HOW_MANY):
        _crowd(found, Goals(ttft, tpot, e2e), draft)
    if e2e:
        _whole_answer(found[0], e2e, draft)
    elif not frame.ttft_ms:
        draft.assume(
            f"цель TTFT ≤ {draft.ms(_PATIENCE_MS)}: столько ждут в чате; строже — дороже",
            f"goal TTFT ≤ {_PATIENCE_MS:g} ms",
        )
    if tpot and not frame.tpot_ms and not frame.user_tokens_per_s:
        draft.assume(
            f"цель TPOT ≤ {tpot:g} мс (обычная для такого размера)",
            f"goal TPOT ≤ {tpot:g} ms (usual for the size)",
        )
    assumptions(draft, setting, skip=("веса", "одна "))
    cite_model(draft, setting.subject.known)
    slo = f" --slo ttft_p95={frame.ttft_ms:g}ms" if frame.ttft_ms else ""
    offer_session(draft, question, slo=slo)


def _example(question: Question, draft: Draft) -> Setting | None:
    """Users or money were said but no model: a usual one is taken, and said so."""
    frame = question.frame
    if not (frame.people or frame.concurrency or frame.budget_month or frame.purchase):
        return None
    stem = "qwen3-14b" if (frame.concurrency or frame.people or 99) <= 10 else "qwen3-32b"
    setting = resolve(frame.replace(models=(stem,)))
    assert setting is not None
    draft.assume(
        f"модель не названа: для примера {setting.subject.title}; назовите свою — пересчитаю",
        f"no model was named: {setting.subject.title} as an example",
    )
    return setting


def _purchase(question: Question, draft: Draft) -> None:
    """A budget for buying is no rent: the order by rent stands, the shop's price is the user's."""
    bought = question.frame.purchase
    if bought is None:
        return
    draft.warn(
        f"Бюджет {draft.money(bought.value, bought.currency)} — на покупку, а в каталоге только"
        " цены аренды: по ним варианты упорядочены, но с бюджетом не сравнены. Сверьте первые"
        " строки таблицы с ценами магазинов и заложите на остальной сервер (процессор, память,"
        " питание) ещё 30–50 % цены карт.",
        "The catalog has rental prices only: the order is by rent, check the shop's prices.",
    )


def _strict(found: list[Option], ttft: float, tpot: float | None, draft: Draft) -> None:
    """What the usual goal of a fast first token costs, where nobody named one."""
    goals = Goals(ttft, tpot)
    fast = [
        option
        for option in found
        if option.per_hour is not None
        and goals.hold(option.prediction, option.setting.output_tokens)
    ]
    if not fast or fast[0] is found[0]:
        return
    best = min(fast, key=lambda option: option.per_hour or 0.0)
    draft.add(
        f"Чтобы первый токен приходил за {draft.ms(ttft)} (обычная цель для чата), по прогнозу"
        f" нужно {best.setting.count} × {best.gpu.name} в {best.setting.label},"
        f" {draft.money(best.per_hour or 0.0)}/час.",
        f"For TTFT ≤ {ttft:g} ms: {best.setting.count} × {best.gpu.name} in {best.setting.label}.",
    )


def _crowd(found: list[Option], goals: Goals, draft: Draft) -> None:
    """How many users the best deployment of a budget serves at once."""
    points = []
    for option in _shown(found):
        holding = [
            point
            for point in sweep(option.setting)
            if goals.hold(point.seen, point.setting.output_tokens)
        ]
        if holding:
            points.append((max(point.streams for point in holding), option))
    if not points:
        return
    streams, best = max(points, key=lambda pair: pair[0])
    draft.note_figure("streams", streams)
    draft.lead(
        f"Больше всего пользователей в этот бюджет держит {best.setting.count} × {best.gpu.name} в"
        f" {best.setting.label}: **около {streams} одновременных запросов** в пределах цели"
        " (прогноз); зарегистрированных пользователей может быть в 10–20 раз больше, потому что"
        " одновременно спрашивают немногие.",
        f"The most users: {best.setting.count} × {best.gpu.name}, about {streams} at once.",
    )


def _whole_answer(option: Option, e2e: float, draft: Draft) -> None:
    seen, output = option.prediction, option.setting.output_tokens
    total = whole_ms(seen, output)
    draft.add(
        f"Весь ответ из {output} токенов: **{draft.ms(total)}** по прогнозу при цели"
        f" {draft.ms(e2e)}.",
        f"The whole answer of {output} tokens: {total:.0f} ms.",
    )
    draft.work(
        f"E2E = TTFT + TPOT × (токенов − 1) = {draft.num(seen.ttft_ms.value, 0)} +"
        f" {draft.num(seen.tpot_ms.value, 1)} × {output - 1} = {draft.ms(total)}"
    )


def _schemes(setting: Setting, *, thrifty: bool) -> tuple[str, ...]:
    """4 bits cost quality: they are offered to who asks for the cheapest."""
    base = setting.weights
    if base not in ("bf16", "fp16"):
        return (base,)
    return (base, "fp8", "int4") if thrifty else (base, "fp8")


def _nothing(setting: Setting, every: list[Option], budget: float | None, draft: Draft) -> None:
    weights = draft.gib(weights_bytes(setting))
    if every:
        best = min(
            (o for o in every if o.per_hour is not None),
            key=lambda o: o.per_hour or 0,
            default=None,
        )
        extra = (
            f" Самое дешёвое, что держит нагрузку: {best.setting.count} × {best.gpu.name} в"
            f" {best.setting.label}, {draft.money(best.per_hour or 0)}/час."
            if best
            else " Цен на подходящие карты в каталоге нет."
        )
        draft.lead(
            f"**В бюджет {draft.money(budget or 0)}/час ничего не укладывается** для"
            f" {setting.subject.title} (веса {weights} в {setting.label}).{extra} Дешевле станет с"
            " INT4 (AWQ, GPTQ), меньшей моделью, коротким контекстом или на spot."
        )
        return
    draft.lead(
        f"Ни один вариант до 8 карт не держит эту нагрузку: {setting.subject.title}, веса"
        f" {weights}. Нужны реплики или несколько узлов; назовите, сколько узлов возможно.",
        "No option of up to 8 devices holds this load.",
    )


def _table(
    question: Question,
    setting: Setting,
    found: list[Option],
    goals: tuple[float | None, float | None],
    budget: float | None,
    draft: Draft,
) -> None:
    best = found[0]
    price = (
        f", {draft.money(best.per_hour)}/час" if best.per_hour is not None else ", цена неизвестна"
    )
    speed = best.prediction
    meets = (
        ""
        if best.meets
        else (
            f" Цели{_named(goals, draft)} по прогнозу не выполняет ни один"
            f" вариант{' в бюджете' if budget else ''}; показан самый дешёвый, остальные — в"
            " таблице."
        )
    )
    hourly = "" if best.per_hour is None else f", {draft.money(best.per_hour)}/hour"
    if meets:
        draft.lead(f"**Цель не выполняется.**{meets}", "**No option meets the goals.**")
    draft.lead(
        f"**{best.setting.count} × {best.gpu.name}, веса в {best.setting.label}**{price} — самый"
        f" дешёвый вариант для {setting.subject.title}, который держит"
        f" {plural(setting.concurrency, 'запрос', 'запроса', 'запросов')} одновременно: TTFT"
        f" {draft.interval(speed.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(speed.tpot_ms, 'мс', 'ms')} ({speed.speed_provenance.russian}, 90 %"
        " интервал).",
        f"**{best.setting.count} × {best.gpu.name}, weights in"
        f" {best.setting.label}**{hourly}:"
        f" TTFT {draft.interval(speed.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(speed.tpot_ms, 'мс', 'ms')}"
        f" ({draft.provenance(speed.speed_provenance)}).",
    )
    if best.setting.weights != setting.weights:
        draft.add(
            f"Веса в {best.setting.label} занимают {draft.gib(best.room.weights_bytes)} вместо"
            f" {draft.gib(weights_bytes(setting))} в {setting.label}; качество после квантования"
            " нужно проверить на своих данных."
        )
    draft.add(_rows(found, draft))
    draft.work(
        f"веса {setting.subject.title} в {setting.label}: {draft.gib(weights_bytes(setting))};"
        " вариант годится, если веса + KV cache"
        f" ({plural(setting.concurrency, 'запрос', 'запроса', 'запросов')}) + движок ≤ 90 % памяти;"
        " порядок — по цене среди тех, кто выполняет цели",
        f"weights in {setting.label}: {draft.gib(weights_bytes(setting))}; sorted by price among"
        " those that meet the goals",
    )
    for option in _shown(found):
        cite_gpu(draft, option.gpu)
        if option.price:
            draft.cite(f"цена {option.gpu.name}: {option.price.describe(question.services.today)}")
            if option.price.is_stale(question.services.today):
                draft.warn(
                    f"Цена {option.gpu.name} старше 90 дней"
                    f" ({option.price.provenance.date.isoformat()}): перед решением уточните у"
                    " провайдера."
                )
    cite_prediction(draft, speed)


def _named(goals: tuple[float | None, float | None], draft: Draft) -> str:
    named = [
        f"{name} ≤ {draft.ms(goal)}"
        for name, goal in zip(("TTFT", "TPOT"), goals, strict=True)
        if goal is not None
    ]
    return " " + " и ".join(named) if named else ""


def _shown(found: list[Option]) -> list[Option]:
    kept: list[Option] = []
    for option in found:
        if option.gpu.stem not in {o.gpu.stem for o in kept}:
            kept.append(option)
    return kept[:5]


def _rows(found: list[Option], draft: Draft) -> str:
    head = draft.say(
        "| Вариант | Веса | TTFT, мс | TPOT, мс | Запросов в памяти | $/час | $ за 1M вых."
        " токенов |",
        "| Option | Weights | TTFT, ms | TPOT, ms | Requests in memory | $/h | $ per 1M output |",
    )
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- |"]
    for o in _shown(found):
        p = o.prediction
        lines.append(
            f"| {o.setting.count} × {o.gpu.name}{'' if o.meets else ' (цели не выполняет)'} |"
            f" {LABELS[o.setting.weights]} | {draft.num(p.ttft_ms.value, 0)} |"
            f" {draft.num(p.tpot_ms.value, 1)} | {o.room.most} |"
            f" {draft.money(o.per_hour) if o.per_hour is not None else '—'} |"
            f" {draft.money(o.per_million) if o.per_million is not None else '—'} |"
        )
    return "\n".join(lines)


def cards_with(scheme: str) -> list[str]:
    """Devices that compute in a format."""
    return [gpu.name for gpu in catalog("gpu") if formats.how(scheme, gpu) == "native"]
