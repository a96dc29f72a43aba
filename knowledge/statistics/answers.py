"""Greedy answers of two servers to the same fixed prompts: where they part, and how they end."""

from statistics import fmean

from knowledge.types import Answers, GreedyAnswer

_MORE_REGRET_NATS = 0.1
"""Decoding and prefill of one server agree to about 0.01 nats in 16 bits."""
_LEAST_STOPS = 2


def same_prefix(reference: Answers, candidate: Answers) -> float | None:
    """Mean share of each answer, in characters, before the first difference.

    Even a re-launch of the same server parts from itself where two tokens are nearly equally
    likely, so this is a figure to show and only far below its floor a finding.
    """
    pairs = _pairs(reference, candidate)
    shares = [_share(a.text, b.text) for a, b in pairs if a.text]
    return fmean(shares) if shares else None


def answer_findings(reference: Answers, candidate: Answers, least_prefix: float) -> tuple[str, ...]:
    """Russian: what stands against the candidate, each enough by itself."""
    pairs = _pairs(reference, candidate)
    found = [
        *_tokenizer(reference, candidate),
        *_template(pairs),
        *_stops(pairs),
        *_decoding(reference, candidate),
        *_cache(reference, candidate),
    ]
    share = same_prefix(reference, candidate)
    if share is not None and share < least_prefix:
        found.append(
            f"жадные ответы расходятся почти сразу: совпадает {share:.0%} текста "
            f"при пределе {least_prefix:.0%}"
        )
    return tuple(found)


def new_echoes(reference: Answers, candidate: Answers) -> list[str]:
    """Pairs of prompts that the candidate answers alike and the reference, asked both, does not."""
    asked = {answer.prompt_id for answer in reference.answers}
    return sorted(
        pair
        for pair in set(candidate.echoed) - set(reference.echoed)
        if asked.issuperset(pair.split(" = "))
    )


def _pairs(reference: Answers, candidate: Answers) -> list[tuple[GreedyAnswer, GreedyAnswer]]:
    theirs = {answer.prompt_id: answer for answer in candidate.answers}
    return [(a, theirs[a.prompt_id]) for a in reference.answers if a.prompt_id in theirs]


def _share(a: str, b: str) -> float:
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return min(len(a), len(b)) / max(len(a), len(b), 1) if same is None else same / len(a)


def _tokenizer(reference: Answers, candidate: Answers) -> list[str]:
    """A tokenizer is the same or it is not: two swapped entries are enough."""
    ours, theirs = reference.foreign_tokens or 0.0, candidate.foreign_tokens
    if theirs is None or theirs <= ours:
        return []
    return [f"токенизатор не тот: {theirs:.1%} токенов текста сервер делит или нумерует иначе"]


def _template(pairs: list[tuple[GreedyAnswer, GreedyAnswer]]) -> list[str]:
    """The same messages or text are the same number of tokens, whatever the weights."""
    off = [
        f"{a.prompt_id}: {a.prompt_tokens} → {b.prompt_tokens}"
        for a, b in pairs
        if None not in (a.prompt_tokens, b.prompt_tokens) and a.prompt_tokens != b.prompt_tokens
    ]
    if not off:
        return []
    chats = all(line.startswith("chat") for line in off)
    what = "шаблон чата не тот" if chats else "токенизатор не тот"
    return [f"{what}: тот же запрос — другое число токенов ({off[0]})"]


def _stops(pairs: list[tuple[GreedyAnswer, GreedyAnswer]]) -> list[str]:
    """Goes on after the very words where the reference stopped, or never stops at all."""
    ended = [(a, b) for a, b in pairs if a.finish_reason == "stop" and a.text.strip()]
    ran_on = [
        b
        for a, b in ended
        if b.finish_reason != "stop" or b.text.rstrip() != a.text.rstrip()
        if b.text.startswith(a.text.rstrip()) and len(b.text.rstrip()) > len(a.text.rstrip())
    ]
    none_left = not any(b.finish_reason == "stop" for _, b in ended)
    if len(ran_on) >= _LEAST_STOPS or (len(ended) >= _LEAST_STOPS and none_left):
        return [f"ответы не кончаются там, где кончались: {len(ran_on)} из {len(ended)}"]
    early = [
        a
        for a, b in pairs
        if b.finish_reason == "stop" and len(b.text) < len(a.text) and a.text.startswith(b.text)
    ]
    if len(early) >= _LEAST_STOPS:
        return [f"ответы обрываются раньше времени: {len(early)} из {len(pairs)}"]
    return []


def _decoding(reference: Answers, candidate: Answers) -> list[str]:
    if candidate.regret_nats is None:
        return []
    more = candidate.regret_nats - (reference.regret_nats or 0.0)
    if more <= _MORE_REGRET_NATS:
        return []
    return [
        "при генерации выбираются не те токены, что вероятнее всего при чтении того же текста: "
        f"в среднем хуже на {more:.2f} нат (неисправны KV cache, декодирование или greedy)"
    ]


def _cache(reference: Answers, candidate: Answers) -> list[str]:
    found = []
    if candidate.replayed and not reference.replayed:
        found.append("при temperature 1,5 дважды пришёл один и тот же текст: ответы из кэша")
    if new := new_echoes(reference, candidate):
        found.append(f"на разные запросы один и тот же ответ: {new[0]}")
    return found
