"""How large the KV cache is, and what changes it."""

from advisor.consultation.answers._common import ask, assumptions, cite_model
from advisor.consultation.answers.fit import kv_line
from advisor.consultation.calculators.memory import kv_per_sequence, kv_per_token
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, Subject, resolve
from advisor.consultation.writing import Draft
from advisor.report.numbers import plural
from knowledge.patterns import compiled

_KV = r"(?<![a-zа-я])(kv|кв)(?![a-zа-я])|кэш ключ|кеш ключ"
_HALF = r"fp-?8|int-?8|8.?бит|квант|переве|держа|хран"


EXAMPLES = (
    "сколько занимает kv cache модели",
    "размер kv кэша на токен",
    "сколько памяти под кеш при # запросах по #",
    "сколько kv кэша сэкономит fp8",
    "how big is the kv cache",
)
PART = True


_ROOM = (
    r"(?:под kv|под кэш|под кеш|kv[^.?!]{0,20}(?:остал|ест|доступн)|остал\w*)[^.?!]{0,25}?"
    r"(\d+(?:[.,]\d+)?)\s*(гиб|gib|гб|gb|гиг\w*)"
)
"""«под kv осталось ровно 10 ГиБ»."""


def score(question: Question) -> float:
    plain = question.has(r"(?<![а-я])к[эе]ша?(?![а-я])") and question.has_model
    plain = bool(plain and (question.own.context_tokens or question.own.input_tokens))
    if not (plain or question.has(_KV)) or question.has(
        r"offload|выгру|rout|логах|preempt|мониторить|разнос"
    ):
        return 0
    if question.has_model and question.has(_ROOM) and question.has(r"сколько|скока|how many"):
        return 9.5
    if question.has_model and question.has(
        r"сколько|размер|занима|весит|вес|отъе|size|per token|how (much|big)|во"
        r" сколько|почему|объ?[её]м|эконом|на токен|посчита|скуша|нужно"
    ):
        return 9
    if question.has(_HALF) and question.has(
        r"запрос|памят|контекст|даст|больше|измен|насколько|что|можно"
    ):
        return 7.5
    return 4 if question.has_model else 0


async def write(question: Question, draft: Draft) -> None:
    if not question.has_model:
        if question.has(_HALF):
            _halved(draft)
        else:
            ask(
                draft,
                "Для какой модели и какого контекста? Размер KV cache: 2 × слои × KV heads ×"
                " head_dim × байт × токены × запросы.",
                "For which model and context?",
            )
        return
    setting = resolve(question.frame, context=question.frame.context_tokens or 4096)
    assert setting is not None
    if question.frame.input_tokens and not question.frame.context_tokens:
        setting = setting.change(
            context_tokens=question.frame.input_tokens + (question.frame.output_tokens or 0)
        )
    per_token, per_sequence = kv_per_token(setting), kv_per_sequence(setting)
    total = per_sequence * setting.concurrency
    said = question.frame.context_tokens or question.frame.input_tokens
    draft.note_figure("kv_bytes", total)
    lead = f"KV cache {setting.subject.title}: **{draft.gib(per_token)} на токен**"
    lead_en = f"KV cache of {setting.subject.title}: **{draft.gib(per_token)} per token**"
    if said or question.frame.concurrency:
        lead += (
            f", **{draft.gib(total)}** на"
            f" {plural(setting.concurrency, 'запрос', 'запроса', 'запросов')} по"
            f" {draft.num(setting.context_tokens, 0)} токенов"
        )
        lead_en += (
            f", **{draft.gib(total)}** for {setting.concurrency} request(s) of"
            f" {setting.context_tokens} tokens"
        )
    draft.lead(lead + ".", lead_en + ".")
    if setting.kv == "bf16" and question.has(_HALF):
        draft.lead(
            f"В FP8 — **{draft.gib(total / 2)}**: экономия **{draft.gib(total / 2)}**, вдвое"
            " (расчёт: 1 байт на элемент вместо 2), и в ту же память входит вдвое больше токенов."
            " Включается `--kv-cache-dtype fp8`; качество проверьте на своих данных.",
            f"In FP8: **{draft.gib(total / 2)}**, half of it.",
        )
    _tokens_in(question, per_token, draft)
    kv_line(setting, per_token, per_sequence, draft)
    if len(question.models) > 1:
        _compare(question, setting, per_token, draft)
    _why(setting, draft)
    assumptions(
        draft,
        setting,
        skip=("одна ", "веса", "выход", *(("контекст", "одновременных") if not said else ())),
    )
    for model in question.models:
        cite_model(draft, model)


def _tokens_in(question: Question, per_token: float, draft: Draft) -> None:
    """How many tokens the memory that is left for the cache holds."""
    left = compiled(_ROOM).search(question.text)
    if left is None:
        return
    size = float(left[1].replace(",", ".")) * 2**30
    tokens = size / per_token
    draft.note_figure("tokens", tokens)
    draft.lead(
        f"В {draft.gib(size)} входит **{draft.num(tokens, 0)} токенов** на всех.",
        f"{draft.gib(size)} hold **{tokens:.0f} tokens** in all.",
    )
    draft.work(f"{draft.gib(size)} / {draft.gib(per_token)} = {draft.num(tokens, 0)} токенов")


def _compare(question: Question, setting: Setting, per_token: float, draft: Draft) -> None:
    said = question.frame.context_tokens or question.frame.input_tokens
    tokens = setting.context_tokens * setting.concurrency if said else 0
    for other in question.models[1:]:
        theirs = kv_per_token(setting.change(subject=Subject(other.title, other.facts, other)))
        times = theirs / per_token
        word = draft.say("больше", "larger") if times >= 1 else draft.say("меньше", "smaller")
        ratio = times if times >= 1 else 1 / times
        draft.lead(
            f"У {other.title} — {draft.gib(theirs)} на токен"
            f"{f' ({draft.gib(theirs * tokens)} на то же)' if tokens else ''}, в"
            f" **{draft.num(ratio, 1).removesuffix(',0')}** раза {word}: там {other.facts.kv_heads}"
            f" KV heads ({other.facts.attention.value.upper()}) против {setting.facts.kv_heads}"
            f" ({setting.facts.attention.value.upper()}).",
            f"{other.title}: {draft.gib(theirs)} per token, {ratio:.1f} times {word}.",
        )


def _why(setting: Setting, draft: Draft) -> None:
    facts = setting.facts
    kind = facts.attention.value.upper()
    if kind == "MLA":
        draft.add(
            "Так мало потому, что MLA хранит на слой один сжатый латентный вектор и общий rope-ключ"
            " вместо K и V всех голов.",
            "It is small because MLA stores one latent vector per layer instead of K and V of all"
            " heads.",
        )
    elif kind in ("GQA", "MQA"):
        draft.add(
            f"{kind}: {facts.heads} голов запросов делят {facts.kv_heads} KV heads, поэтому кеш в"
            f" {facts.heads // facts.kv_heads} раз меньше, чем был бы при MHA.",
            f"{kind}: {facts.heads} query heads share {facts.kv_heads} KV heads.",
        )
    if facts.sliding_window:
        draft.add(
            f"Слои со скользящим окном ({facts.sliding_layers} из {facts.layers}) хранят не больше"
            f" {draft.num(facts.sliding_window, 0)} токенов.",
            f"{facts.sliding_layers} of {facts.layers} layers keep a window of"
            f" {facts.sliding_window} tokens.",
        )


def _halved(draft: Draft) -> None:
    draft.lead(
        "KV cache в FP8 занимает **вдвое меньше** (1 байт на элемент вместо 2), поэтому в ту же"
        " память входит **вдвое больше** токенов: одновременных запросов вдвое больше или контекст"
        " вдвое длиннее (расчёт).",
        "An FP8 KV cache is half the size (1 byte per element, not 2), so twice as many tokens"
        " fit.",
    )
    draft.add(
        "Decode при длинном контексте тоже ускоряется, потому что меньше читать из памяти; на"
        " сколько — покажет только замер. Включается в vLLM: `--kv-cache-dtype fp8`. Качество"
        " обычно почти не меняется, но его надо проверить на своих данных; INT4 для KV заметно"
        " рискованнее."
    )
    draft.work(
        "число запросов = (память − веса − движок) / (KV на токен × токены); KV на токен = 2 × слои"
        " × KV heads × head_dim × байт"
    )
    draft.offer("Назовите модель, GPU и контекст — посчитаю точное число запросов.")
