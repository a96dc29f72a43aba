"""What prefix caching saves where the shared beginning is said in tokens."""

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    forecast,
)
from advisor.consultation.question import Question
from advisor.consultation.setting import CHAT_OUTPUT, resolve
from advisor.consultation.writing import Draft

EXAMPLES = (
    "сколько экономит prefix cache если системный промпт # токенов а вопрос #",
    "что даст кеш префикса при общем промпте # токенов",
    "у # % запросов одинаковый системный промпт по # токенов что включить",
    "how much does prefix caching save",
)
NEEDS = ("prefix_tokens",)
_OWN = 200


def score(question: Question) -> float:
    if not question.own.prefix_tokens:
        return 0
    return 9.2 if question.has(r"эконом|даст|кеш|кэш|cache|включ|ускор|сократ|одинаков|общ") else 5


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    prefix = frame.prefix_tokens or 0
    own = frame.input_tokens or frame.context_tokens or _OWN
    if not (frame.input_tokens or frame.context_tokens):
        draft.assume(f"своя часть запроса {own} токенов", f"{own} tokens of its own")
    share = prefix / (prefix + own)
    hits = frame.shares[0] if frame.shares else 1.0
    draft.note_figure("saved_share", share * hits)
    draft.lead(
        f"**Prefix caching снимет около {draft.num(share * hits * 100, 0)} % работы prefill**"
        " (расчёт): общее начало считается один раз, и у попавшего запроса остаётся"
        f" {draft.num(own, 0)} токенов из {draft.num(prefix + own, 0)}. Decode и TPOT не меняются,"
        " выигрывают TTFT и throughput там, где вход длинный.",
        f"**Prefix caching removes about {share * hits:.0%} of the prefill work** (computed): {own}"
        f" of {prefix + own} tokens remain.",
    )
    part = f" × {draft.num(hits * 100, 0)} % запросов" if frame.shares else ""
    draft.work(
        f"{draft.num(prefix, 0)} / ({draft.num(prefix, 0)} + {draft.num(own, 0)}) ="
        f" {draft.num(share * 100, 0)} %{part}",
        f"{prefix} / ({prefix} + {own}) = {share:.0%}",
    )
    _seconds(question, prefix, own, draft)
    _notes.write("prefix-cache", draft)


def _seconds(question: Question, prefix: int, own: int, draft: Draft) -> None:
    """TTFT with and without, where a deployment was named."""
    frame = question.frame
    output = frame.output_tokens or CHAT_OUTPUT
    setting = resolve(frame.replace(input_tokens=prefix + own, output_tokens=output))
    if setting is None or setting.gpu is None:
        return
    before = forecast(question, setting)
    after = forecast(question, setting.change(input_tokens=own))
    draft.add(
        f"{setting.subject.title} на {devices(draft, setting.card, setting.count)}: TTFT"
        f" {draft.interval(before.ttft_ms, 'мс', 'ms')} без кеша и около"
        f" {draft.interval(after.ttft_ms, 'мс', 'ms')} с попаданием"
        f" ({before.speed_provenance.russian}, 90 % интервал).",
        f"TTFT {draft.interval(before.ttft_ms, 'мс', 'ms')} without and"
        f" {draft.interval(after.ttft_ms, 'мс', 'ms')} with a hit.",
    )
    assumptions(draft, setting)
    cite_setting(draft, setting)
    cite_prediction(draft, before)
