"""A number format on a GPU: native, stored only, or impossible."""

from advisor.consultation.answers._common import cite_gpu
from advisor.consultation.calculators import formats
from advisor.consultation.question import Question
from advisor.consultation.writing import Draft

EXAMPLES = (
    "поддерживает ли карта fp8",
    "можно ли fp8 на карта",
    "есть ли int8 на карта",
    "будет ли работать bf16 на карта",
)
NEEDS = (
    "gpus",
    "schemes",
)


def score(question: Question) -> float:
    frame = question.frame
    if not frame.gpus or not frame.schemes or len(frame.gpus) > 1:
        return 0
    lacking = any(
        formats.how(s, question.gpus[0]) != "native" and s not in ("int4", "int3", "int2")
        for s in frame.schemes
    )
    asked = question.has(
        r"сработ|поддерж|стоит ли|смысл|можно|будет работать|включ|есть"
        r" ли|ускор|почему|хочу|умеет|пойд[её]т|использова|имеет|толк|даст|support"
    )
    if len(frame.schemes) > 1 and lacking:
        return 8.3
    if lacking and asked and not question.has(r"влез|помест|хватит|войд|fit\b"):
        return 9
    return 7 if asked and not question.has_model and len(frame.schemes) == 1 else 0


async def write(question: Question, draft: Draft) -> None:
    gpu = question.gpus[0]
    for scheme in question.frame.schemes:
        found = formats.how(scheme, gpu)
        name = formats.label(scheme)
        if found == "native":
            draft.lead(
                f"**{name} на {gpu.name}: да, поддерживается аппаратно** ({gpu.generation}, compute"
                f" capability {gpu.device.compute_capability}).",
                f"**{name} on {gpu.name}: yes, natively** ({gpu.generation}).",
            )
        elif scheme in ("int4", "int3", "int2"):
            draft.lead(
                f"**{name} на {gpu.name}: да, как сжатие весов** (W4A16): память и чтение весов"
                " вчетверо меньше, счёт в 16 битах. Ускоряет decode при малом batch, при большом —"
                " нет.",
                f"**{name} on {gpu.name}: yes, weight-only.**",
            )
        elif found == "stored":
            draft.lead(
                f"**{name} на {gpu.name}: аппаратно нет.** Веса загрузятся и сэкономят память"
                " (W8A16/W4A16, Marlin), но вычисления останутся в 16 битах: prefill и большой"
                " batch не ускорятся.",
                f"**{name} on {gpu.name}: not natively.** Weights load, compute stays in 16 bits.",
            )
        else:
            draft.lead(
                f"**{name} на {gpu.name}: нет, не поддерживается.**",
                f"**{name} on {gpu.name}: no.**",
            )
            if scheme == "bf16":
                draft.lead(
                    "Запускайте в FP16: `--dtype half` (то же, что `--dtype float16`).",
                    "Run it in FP16: `--dtype half`.",
                )
        support = formats.matrix(question.frame.engine or "vllm", scheme, gpu)
        if support:
            draft.cite(support.source)
    rest = [
        formats.label(s) + (" (AWQ, GPTQ)" if s == "int4" else " (W8A8)" if s == "int8" else "")
        for s in formats.sensible(gpu)
    ]
    draft.add(
        f"**Что имеет смысл на {gpu.name}:** {', '.join(rest)}. "
        + _why(gpu.native("fp8"), gpu.native("int8")),
        f"**Sensible on {gpu.name}:** {', '.join(rest)}.",
    )
    draft.add(
        "Ускорение от формата — прогноз, пока оно не измерено на вашей модели и нагрузке; качество"
        " после квантования проверяйте отдельно.",
        "Any speed-up from a format is a prediction until measured on your load.",
    )
    cite_gpu(draft, gpu)


def _why(fp8: bool, int8: bool) -> str:
    if fp8:
        return (
            "FP8 (W8A8) вдвое сокращает чтение весов и удваивает пик вычислений; INT4 сильнее"
            " экономит память."
        )
    if int8:
        return (
            "INT8 (W8A8) ускоряет и decode, и prefill; INT4 (W4A16) — только чтение весов, то есть"
            " decode при малом batch."
        )
    return "Здесь быстрее всего FP16, а INT4 экономит память."
