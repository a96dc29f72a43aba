"""Which format for the weights."""

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    offer_session,
)
from advisor.consultation.calculators import formats
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import LABELS, Setting, resolve
from advisor.consultation.writing import Draft
from knowledge.prediction import Prediction
from knowledge.prediction.model import predict_many

_ADVICE = r"(посовет|порекоменд|подскаж|какую|какое|какой|выбрать|взять)\w*[^.?]{0,15}квант"
_ASK = (
    r"как(ую|ой|ое|ая) (точност|формат|квант|разрядн|precision|dtype)|точност\w*"
    r" (выбр|взять|лучше)|чем квантовать|во что квантов|в ч[её]м (держать|запускать|гонять)|which"
    r" (precision|quant)|(?:квантиз|квантов)\w*[^.?]{0,25}(выбр|взять|лучше|посовет)"
)
_MOVE = (
    r"(пере(?:йти|ход|вест|еха|езж)|смен|замен|switch|move)\w*[^.?]{0,40}(?:с|из|from|на|в|to)\b|"
    r"эконом\w*|выигра\w*|выигрыш\w*|что (?:даст|изменится|получу)|насколько"
)
_OR = r"\bили\b|\bor\b|\bvs\b|против|лучше|сравн"


EXAMPLES = (
    "какую точность выбрать",
    "fp8 или int4 для модели",
    "в чем держать веса",
    "какую квантизацию взять для карта",
    "что быстрее fp8 или bf16",
    "стоит ли переходить с fp16 на fp8",
    "посоветуй квантование",
    "which quantization should i use",
)


def score(question: Question) -> float:
    if question.has(_ASK) or question.has(_ADVICE):
        return 8.6
    two = len(question.frame.schemes) >= 2 and question.has(_OR)
    placed = question.has_model and bool(question.frame.gpus)
    if placed and len(question.frame.schemes) >= 2 and question.has(_MOVE):
        return 9.0
    if two and not question.has(r"awq|gptq"):
        return 8.1
    return (
        5
        if question.frame.schemes and question.frame.gpus and question.has(r"выбр|лучше|быстрее")
        else 0
    )


async def write(question: Question, draft: Draft) -> None:
    gpu = question.gpus[0] if question.gpus else None
    setting = resolve(question.frame)
    if gpu is None or setting is None:
        _general(question, draft)
        return
    asked = (
        tuple(s for s in question.frame.schemes if s in LABELS)
        if len(question.frame.schemes) > 1
        else formats.sensible(gpu)
    )
    tried = [(s, setting.change(weights=s)) for s in asked if formats.how(s, gpu) != "no"]
    rows, holds = [], []
    speeds = predict_many([one.query for _, one in tried])
    for (scheme, one), seen in zip(tried, speeds, strict=True):
        found = room(one)
        ok = found.holds(one.concurrency)
        if ok:
            holds.append((scheme, one))
        fast = scheme == "int4" or formats.how(scheme, gpu) == "native"
        slow = "" if fast else " (без ускорения счёта)"
        rows.append(
            f"| {LABELS[scheme]}{slow}"
            f" | {draft.gib(found.weights_bytes)} | {'да' if ok else 'нет'} | {found.most} |"
            f" {draft.interval(seen.tpot_ms, 'мс', 'ms') if ok else '—'} |"
            f" {draft.interval(seen.ttft_ms, 'мс', 'ms') if ok else '—'} |"
        )
        if ok:
            cite_prediction(draft, seen)
    pick = _pick(holds)
    where = devices(draft, gpu, setting.count)
    if pick is None:
        draft.lead(
            f"Ни один из форматов не помещает {setting.subject.title} на {where}; нужно больше"
            " карт.",
            f"No format fits {setting.subject.title} on {where}.",
        )
    else:
        draft.lead(
            f"Для {setting.subject.title} на {where} берите **{LABELS[pick]}**:"
            f" {_reason(pick, gpu.native('fp8'), gpu.name)}",
            f"For {setting.subject.title} on {where} take **{LABELS[pick]}**.",
        )
    if len(question.frame.schemes) > 1 and len(holds) > 1:
        _ratio([s for s, _ in holds], dict(zip([s for s, _ in tried], speeds, strict=True)), draft)
    draft.add(
        "\n".join(
            [
                "| Формат | Веса | Влезает | Запросов в памяти | TPOT, прогноз | TTFT, прогноз |",
                "| --- | --- | --- | --- | --- | --- |",
                *rows,
            ]
        )
    )
    if not gpu.native("fp8") and "fp8" not in asked:
        draft.add(
            f"FP8 здесь не ускорит: у {gpu.name} нет блоков FP8 (нужны"
            f" {formats.since('fp8', 'ru')}), он лишь сэкономит память."
        )
    draft.add(
        "**Качество:** FP8 и INT8 (W8A8) обычно почти не теряют, INT4 теряет заметнее, сильнее"
        " всего на малых моделях, коде, длинном контексте и редких языках. Это ожидание из"
        " литературы, а не замер: сравните log-вероятности и свои задачи до и после."
    )
    draft.work(
        "веса = параметры × байт (16 бит — 2, 8 бит — 1, 4 бита — 0,5 и масштабы); TPOT ≥"
        " прочитанные за шаг байты / пропускная способность памяти"
    )
    assumptions(draft, setting, skip=("веса",))
    cite_setting(draft, setting)
    offer_session(draft, question)


def _ratio(schemes: list[str], speeds: dict[str, Prediction], draft: Draft) -> None:
    """How much faster the fastest of the compared formats is expected to be."""
    ordered = sorted(schemes, key=lambda scheme: speeds[scheme].tpot_ms.value)
    fast, slow = ordered[0], ordered[-1]
    decode = speeds[slow].tpot_ms.value / speeds[fast].tpot_ms.value
    prefill = speeds[slow].ttft_ms.value / speeds[fast].ttft_ms.value
    first = (
        f"и TTFT в {draft.num(prefill, 2)} раза ниже"
        if prefill >= 1.02
        else f"но TTFT в {draft.num(1 / prefill, 2)} раза выше"
        if prefill <= 0.98
        else "TTFT тот же"
    )
    draft.lead(
        f"По прогнозу при такой нагрузке {LABELS[fast]} быстрее, чем {LABELS[slow]}, на генерации:"
        f" TPOT в {draft.num(decode, 2)} раза ниже, {first}; интервалы в таблице.",
        f"Predicted: {LABELS[fast]} decodes {decode:.2f} times as fast as {LABELS[slow]}.",
    )


def _pick(holds: list[tuple[str, Setting]]) -> str | None:
    """The first of the usual order that fits and that the device computes in."""
    names = dict(holds)
    for scheme in ("fp8", "int8", "bf16", "fp16", "int4"):
        gpu = names[scheme].gpu if scheme in names else None
        if gpu and (scheme == "int4" or formats.how(scheme, gpu) == "native"):
            return scheme
    return next(iter(names), None)


def _reason(scheme: str, fp8: bool, name: str) -> str:
    return {
        "fp8": (
            f"{name} считает в FP8 аппаратно, веса вдвое меньше, ускоряются и prefill, и decode, а"
            " потеря качества обычно мала."
        ),
        "int8": (
            f"у {name} нет FP8, зато INT8 (W8A8) считается аппаратно и ускоряет и prefill, и"
            " decode."
        ),
        "int4": "только так модель помещается; AWQ или GPTQ, с проверкой качества.",
    }.get(scheme, "помещается без квантования, и качеством рисковать незачем.")


def _general(question: Question, draft: Draft) -> None:
    if question.gpus:
        gpu = question.gpus[0]
        best = "fp8" if gpu.native("fp8") else "int8" if gpu.native("int8") else "fp16"
        draft.lead(
            f"На {gpu.name} берите **{LABELS[best]}**: {_reason(best, gpu.native('fp8'), gpu.name)}"
        )
        if (
            {"fp8", "int8"} <= set(question.frame.schemes)
            and gpu.native("fp8")
            and gpu.native("int8")
        ):
            draft.add(
                "И FP8, и INT8 там считаются аппаратно и с одинаковой пиковой скоростью; FP8 проще:"
                " динамические масштабы, калибровка не обязательна, выбросы активаций он переносит"
                " лучше, чем INT8."
            )
        if not gpu.native("fp8"):
            draft.add(f"FP8 у {gpu.name} аппаратно нет: нужны {formats.since('fp8', 'ru')}.")
    _notes.write("precision-choice", draft)
    draft.offer(
        "Назовите модель, GPU и число запросов — посчитаю память и скорость каждого формата."
    )
