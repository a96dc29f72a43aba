"""The longest context that fits beside the weights."""

from advisor.consultation.answers._common import (
    assumptions,
    cite_setting,
    devices,
    offer_session,
    usual_gpu,
)
from advisor.consultation.answers.fit import by_memory, kv_line
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.writing import Draft

EXAMPLES = (
    "какой максимальный контекст влезет на карта с моделью",
    "какой контекст максимум потянет карта",
    "до какой длины контекста хватит памяти",
    "what is the longest context that fits",
)
NEEDS = ("has_model",)
COVERS = ("fit", "kv_cache")
PART = True


def score(question: Question) -> float:
    asked = question.has(
        r"(какой|какая|какую|максимальн\w+|наибольш\w+|макс\w*|longest|max\w*|до какой|"
        r"how (long|much))"
        r"[^.?]{0,25}(контекст|окно|context|длин\w+ (контекст|промпт)|max[-_]model[-_]len)"
    )
    asked = asked or question.has(r"сколько (токенов )?контекст\w* (потян|влез|поме|выдерж|держ)")
    said = question.own.context_tokens
    return 9.1 if asked and not said and not question.has(r"стоит|цен") else 0


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
    assert setting is not None
    if setting.gpu is None:
        gpu = by_memory(question.frame.gpu_memory_gb or 0)
        setting = setting.change(gpu=gpu) if gpu else usual_gpu(setting, question, draft)
    if not room(setting.change(context_tokens=16)).loads and not question.frame.weights:
        setting = setting.change(weights="int4")
        draft.assume("в исходном формате не влезает, поэтому веса в INT4", "weights in INT4")
    where = devices(draft, setting.card, setting.count)
    best = longest(setting)
    if best is None:
        draft.lead(
            f"**Не влезает:** {setting.subject.title} в {setting.label} на {where}, даже без"
            " контекста.",
            f"**Does not fit:** {setting.subject.title} in {setting.label} on {where}.",
        )
        return
    limit = setting.facts.max_position
    streams = setting.concurrency
    found = room(setting.change(context_tokens=best))
    draft.note_figure("context_tokens", best)
    capped = best >= limit
    draft.lead(
        f"**До {draft.num(best, 0)} токенов** на запрос при {streams} одновременных:"
        f" {setting.subject.title} в {setting.label} на {where} (расчёт по памяти). "
        + (
            "Это предел самой модели (max_position_embeddings), памяти хватает с запасом."
            if capped
            else f"Предел самой модели — {draft.num(limit, 0)}. KV cache в FP8 почти удвоит длину."
        ),
        f"**Up to {best} tokens** per request at {streams} concurrent"
        f" ({'the limit of the model' if capped else 'by memory'}).",
    )
    draft.work(
        f"({draft.gib(found.usable_bytes)} доступно − {draft.gib(found.weights_bytes)} веса −"
        f" {draft.gib(found.overhead_bytes)} движок) / {streams} / {draft.gib(found.kv_per_token)}"
        " на токен"
    )
    kv_line(setting.change(context_tokens=best), found.kv_per_token, found.kv_per_sequence, draft)
    assumptions(draft, setting, skip=("вход", "выход"))
    cite_setting(draft, setting)
    offer_session(draft, question)


def longest(setting: Setting) -> int | None:
    """By bisection, since windowed layers stop growing; None where not even 16 tokens fit."""

    def holds(tokens: int) -> bool:
        return room(setting.change(context_tokens=tokens, output_tokens=1)).holds(
            setting.concurrency
        )

    low, high = 16, setting.facts.max_position
    if not holds(low):
        return None
    if holds(high):
        return high
    while high - low > 64:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low // 64 * 64
