"""Which latency a deployment can promise, and whether it keeps the goals that were named."""

from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    forecast,
    offer_session,
    usual_gpu,
)
from advisor.consultation.calculators import formats
from advisor.consultation.calculators.capacity import Goals, sweep, whole_ms
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import LABELS, Setting, resolve
from advisor.consultation.writing import Draft
from knowledge.prediction import Figure, Prediction

_OPEN = (
    r"(?<![a-zа-я])(slo|sla|сло)(?![a-zа-я])|обеща|гарантировать клиент|"
    r"целев\w+ (ttft|tpot|задерж)"
)
_KEEP = (
    r"потян|хватит|уложи|укладыв|держ|выдерж|справ|выполн|хотим|хочу|хочется|нужен|нужно|надо|"
    r"реальн|можно ли|получится|достиж|meet|achiev|can i|пройд|latency (до|<)|до # секунд"
)


EXAMPLES = (
    "какой slo реален для модели на карта",
    "какую задержку можно обещать клиентам",
    "какие целевые ttft и tpot поставить",
    "какой sla по задержке взять",
    "what slo is realistic for модель",
    "уложимся ли в ttft # мс и tpot # мс",
)
NEEDS = ("has_model",)
COVERS = ("speed",)
PART = True


def score(question: Question) -> float:
    frame, own = question.frame, question.own
    goals = own.ttft_ms or own.tpot_ms or (own.e2e_ms and question.has_model)
    if goals and question.has(r"сейчас|получа|измер|почему|у нас (ttft|tpot)|это нормально|now"):
        return 0
    if question.has_model and goals and frame.gpus and question.has(_KEEP):
        return 9.0
    if question.has_model and question.has(_OPEN):
        return 9.0 if frame.gpus else 8.0
    return 0


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
    assert setting is not None
    if setting.gpu is None:
        setting = usual_gpu(setting, question, draft)
    found = room(setting)
    where = devices(draft, setting.card, setting.count)
    if not found.loads:
        draft.lead(
            f"**Сначала память:** {setting.subject.title} в {setting.label} на {where} не влезает"
            f" (веса {draft.gib(found.weights_bytes)}, доступно {draft.gib(found.usable_bytes)}).",
            f"**It does not fit:** {setting.subject.title} in {setting.label} on {where}.",
        )
        return
    frame = question.frame
    goals = Goals(frame.ttft_ms, frame.tpot_ms, frame.e2e_ms)
    seen = forecast(question, setting)
    if goals != Goals():
        _kept(question, setting, goals, seen, draft)
        _elsewhere(question, setting, goals, draft)
    else:
        _promise(setting, seen, where, draft)
    _levels(setting, draft)
    assumptions(draft, setting, skip=("одновременных",) if goals == Goals() else ())
    cite_setting(draft, setting)
    cite_prediction(draft, seen)
    slo = f" --slo ttft_p95={frame.ttft_ms:g}ms" if frame.ttft_ms else ""
    offer_session(draft, question, slo=slo)


def _elsewhere(question: Question, setting: Setting, goals: Goals, draft: Draft) -> None:
    """The same goals on the other cards that were named."""
    for gpu in question.gpus[1:3]:
        other = setting.change(gpu=gpu)
        if not room(other).loads:
            draft.lead(f"На {gpu.name} не влезает.", f"It does not fit on {gpu.name}.")
            continue
        seen = forecast(question, other)
        ok = goals.hold(seen, other.output_tokens)
        word = draft.say("Да" if ok else "Нет", "Yes" if ok else "No")
        draft.lead(
            f"**{word} на {gpu.name}** (прогноз): TTFT {draft.interval(seen.ttft_ms, 'мс', 'ms')},"
            f" TPOT {draft.interval(seen.tpot_ms, 'мс', 'ms')}.",
            f"**{word} on {gpu.name}** (predicted): TPOT"
            f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}.",
        )
        cite_prediction(draft, seen)


def _kept(
    question: Question, setting: Setting, goals: Goals, seen: Prediction, draft: Draft
) -> None:
    ok = goals.hold(seen, setting.output_tokens)
    rows = [
        _judged(name, goal, figure, draft)
        for name, goal, figure in (
            ("TTFT", goals.ttft_ms, seen.ttft_ms),
            ("TPOT", goals.tpot_ms, seen.tpot_ms),
            ("E2E", goals.e2e_ms, _whole(seen, setting.output_tokens)),
        )
        if goal is not None
    ]
    sure = all(risk == "да" for risk, _ in rows)
    word = draft.say(
        "Да, по прогнозу с запасом"
        if sure
        else "Скорее да, но верх интервала выше цели"
        if ok
        else "Скорее нет",
        "Yes" if sure else "Probably, with a risk" if ok else "Probably not",
    )
    where = devices(draft, setting.card, setting.count)
    draft.lead(
        f"**{word}:** {setting.subject.title} в {setting.label} на {where}, одновременных запросов"
        f" {setting.concurrency}, вход {draft.num(setting.input_tokens, 0)}, выход"
        f" {draft.num(setting.output_tokens, 0)} ({seen.speed_provenance.russian}, 90 % интервал): "
        + "; ".join(text for _, text in rows)
        + ".",
        f"**{word}:** {setting.subject.title} in {setting.label} on {where} at"
        f" {setting.concurrency} concurrent ({draft.provenance(seen.speed_provenance)}): "
        + "; ".join(text for _, text in rows)
        + ".",
    )
    draft.note_figure("tpot_ms", seen.tpot_ms.value)
    draft.note_figure("ttft_ms", seen.ttft_ms.value)
    if not sure:
        _helps(question, setting, goals, draft)


def _judged(name: str, goal: float, figure: Figure, draft: Draft) -> tuple[str, str]:
    risk = "да" if figure.high <= goal else "риск" if figure.value <= goal else "нет"
    sign = {"да": "≤", "риск": "≲", "нет": ">"}[risk]
    return risk, f"{name} {draft.interval(figure, 'мс', 'ms')} {sign} {draft.ms(goal)}"


def _whole(seen: Prediction, output: int) -> Figure:
    return Figure(
        value=whole_ms(seen, output),
        low=seen.ttft_ms.low + seen.tpot_ms.low * (output - 1),
        high=seen.ttft_ms.high + seen.tpot_ms.high * (output - 1),
    )


def _helps(question: Question, setting: Setting, goals: Goals, draft: Draft) -> None:
    """Deployments near this one that meet the goals by the middle of the prediction."""
    gpu = setting.card
    tried: list[tuple[str, Setting]] = []
    if setting.weights in ("bf16", "fp16") and formats.how("fp8", gpu) == "native":
        tried.append((f"веса в {LABELS['fp8']}", setting.change(weights="fp8")))
    for more in (2, 4):
        if setting.count * more <= 8:
            count = setting.count * more
            label = f"{devices(draft, gpu, count)} (TP={count})"
            tried.append((label, setting.change(count=count, tp=None, pp=None)))
    if setting.concurrency > 1:
        half = max(1, setting.concurrency // 2)
        tried.append(
            (f"не больше {half} одновременных на реплику", setting.change(concurrency=half))
        )
    found = []
    for label, one in tried:
        if not room(one).holds(one.concurrency):
            continue
        seen = forecast(question, one)
        holds = goals.hold(seen, one.output_tokens)
        found.append(
            f"- {label}: TTFT {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
            f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}"
            f" — {'в цели' if holds else 'всё ещё мимо'}"
        )
    if found and draft.language == "ru":
        draft.add("\n".join(["**Что приблизит (прогноз)**", "", *found]))


def _promise(setting: Setting, seen: Prediction, where: str, draft: Draft) -> None:
    draft.note_figure("tpot_ms", seen.tpot_ms.value)
    draft.note_figure("ttft_ms", seen.ttft_ms.value)
    draft.lead(
        f"На {where} для {setting.subject.title} в {setting.label} при {setting.concurrency}"
        f" одновременных (вход {draft.num(setting.input_tokens, 0)}, выход"
        f" {draft.num(setting.output_tokens, 0)}) ожидается TTFT"
        f" **{draft.interval(seen.ttft_ms, 'мс', 'ms')}** и TPOT"
        f" **{draft.interval(seen.tpot_ms, 'мс', 'ms')}** ({seen.speed_provenance.russian}, 90 %"
        " интервал). Обещать до замера стоит верх интервала, а не середину, и для той нагрузки,"
        " которая бывает в пик: с числом одновременных запросов оба числа растут.",
        f"Expect TTFT **{draft.interval(seen.ttft_ms, 'мс', 'ms')}** and TPOT"
        f" **{draft.interval(seen.tpot_ms, 'мс', 'ms')}**"
        f" ({draft.provenance(seen.speed_provenance)}); promise the top of the interval.",
    )


def _levels(setting: Setting, draft: Draft) -> None:
    sizes = sorted({1, 8, 32, setting.concurrency})
    rows = [
        f"| {point.streams} | {draft.interval(point.seen.ttft_ms, 'мс', 'ms')} |"
        f" {draft.interval(point.seen.tpot_ms, 'мс', 'ms')} |"
        for point in sweep(setting, sizes)
    ]
    head = draft.say("| Одновременно | TTFT | TPOT |", "| At once | TTFT | TPOT |")
    if len(rows) > 1:
        draft.add("\n".join([head, "| --- | --- | --- |", *rows]))
