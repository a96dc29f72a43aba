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
from advisor.consultation.calculators.choice import Option, options
from advisor.consultation.calculators.memory import weights_bytes
from advisor.consultation.question import Question
from advisor.consultation.setting import LABELS, Setting, resolve
from advisor.consultation.writing import Draft
from advisor.report.numbers import plural
from knowledge.devices import catalog
from knowledge.objectives import default_objectives

_ASK = (
    r"(как\w+|что|кот\w+|на"
    r" ч[её]м|which|what)[^.?]{0,40}(gpu|гпу|карт|желез|видюх|видеокарт|ускорител|"
    r"hardware|взять|выбрать|купить|арендовать|брать)|посовет|порекоменд|подбер|подобра|"
    r"подскажи.*(карт|gpu|желез)|варианты|на"
    r" ч[её]м (лучше |дешевле |выгоднее |всего |можно |проще"
    r" )*(запуск|держ|крут|хост|сервить|гонять|разверн|подня)|"
    r"сколь(ко|ки)\s*(мне\s+|нам\s+|нужно\s+|надо\s+|потребу\w+\s+)*(gpu|карт|видеокарт|ускорит|видюх)"
)


def score(question: Question) -> float:
    if question.has(r"какую (точност|квант)|команд|флаг|какой (батч|batch)"):
        return 0
    if not question.has(_ASK):
        return (
            2.5
            if question.has_model
            and (question.frame.gpu_hour or question.frame.ttft_ms)
            and not question.frame.gpus
            else 0
        )
    if len(question.frame.gpus) >= 2:
        return 5
    if question.frame.gpus and not question.has(r"посовет|подбер|варианты|что взять"):
        return 3
    if question.frame.schemes and not question.has_model:
        return 2
    return 8 if question.has_model else 6


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
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
    ttft = frame.ttft_ms or 200.0
    tpot = frame.tpot_ms or (
        1000 / frame.user_tokens_per_s if frame.user_tokens_per_s else goals.band.tpot_ms.high
    )
    schemes = frame.schemes or _schemes(setting)
    every = options(setting, schemes=schemes, ttft_ms=ttft, tpot_ms=tpot)
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
    if not frame.ttft_ms:
        draft.assume("цель TTFT p95 ≤ 200 мс (по умолчанию)", "goal TTFT p95 ≤ 200 ms (default)")
    if not frame.tpot_ms and not frame.user_tokens_per_s:
        draft.assume(
            f"цель TPOT ≤ {tpot:g} мс (обычная для такого размера)",
            f"goal TPOT ≤ {tpot:g} ms (usual for the size)",
        )
    assumptions(draft, setting, skip=("веса", "одна "))
    cite_model(draft, setting.subject.known)
    offer_session(draft, question, slo=f" --slo ttft_p95={ttft:g}ms" if frame.ttft_ms else "")


def _schemes(setting: Setting) -> tuple[str, ...]:
    base = setting.weights
    return tuple(dict.fromkeys([base, "fp8", "int4"])) if base in ("bf16", "fp16") else (base,)


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
    goals: tuple[float, float],
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
            f" Цели TTFT ≤ {draft.ms(goals[0])} и TPOT ≤ {draft.ms(goals[1])} по прогнозу не"
            f" выполняет ни один вариант{' в бюджете' if budget else ''}; показан самый дешёвый,"
            " остальные — в таблице."
        )
    )
    hourly = "" if best.per_hour is None else f", {draft.money(best.per_hour)}/hour"
    draft.lead(
        f"**{best.setting.count} × {best.gpu.name}, веса в {best.setting.label}**{price} — самый"
        f" дешёвый вариант для {setting.subject.title}, который держит"
        f" {plural(setting.concurrency, 'запрос', 'запроса', 'запросов')} одновременно: TTFT"
        f" {draft.interval(speed.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(speed.tpot_ms, 'мс', 'ms')} ({speed.speed_provenance.russian}, 90 %"
        f" интервал).{meets}",
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
