"""Greedy answers to fixed prompts: what scoring a prompt can't show.

Faults of decoding, of the KV cache, of stop tokens, of the chat template, and answers that come
out of a cache.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

from knowledge.errors import QualityUnavailable
from knowledge.types import Answers, Choices, GreedyAnswer
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality.ask import Prompted, ask, in_turn
from tools.quality.logprobs import PROBE, Reader, server_token_ids
from tools.quality.probes import probes
from tools.quality.text import held_out

_COMPARABLE_CHARACTERS = 40
_DRAWN_CHARACTERS = 12
_TOKENIZED_CHARACTERS = 500
_SAMPLING = {"temperature": 1.5}
_BRIEF = 3
_CAP_NATS = 5.0
"""A token outside the returned list counts as this far from the likeliest."""


async def greedy_answers(
    target: Target, tokenizer: Tokenizer | None, *, brief: bool = False
) -> Answers:
    """Ask every probe once; read the continuations back as prompts; sample one prompt twice.

    `brief`: every third text, all chats, and nothing else that looks for faults. Raises
    QualityUnavailable when the server does not answer completions at all.
    """
    asked = probes()
    if brief:  # the chats are short, and a wrong stop token or template shows in them alone
        texts = [probe for probe in asked if not probe.chat]
        asked = (*texts[::_BRIEF], *(probe for probe in asked if probe.chat))
    said = await in_turn(lambda probe: ask(target, probe), asked)
    given = {probe.name: one for probe, one in zip(asked, said, strict=True) if one is not None}
    if not given:
        raise QualityUnavailable("сервер не ответил ни на один контрольный запрос", "")
    return Answers(
        answers=tuple(given.values()),
        regret_nats=None if brief else await _regret(target, tokenizer, asked, given),
        foreign_tokens=await _foreign_tokens(target, tokenizer),
        echoed=_echoes(asked, given),
        replayed=None if brief else await _replayed(target, asked[0]),
    )


async def _regret(
    target: Target,
    tokenizer: Tokenizer | None,
    asked: Sequence[Prompted],
    given: dict[str, GreedyAnswer],
) -> float | None:
    """Mean over the generated tokens, each against the likeliest at its place."""
    if tokenizer is None:
        return None
    pieces = []
    for probe in asked:
        if probe.chat or probe.name not in given:
            continue
        before = [*tokenizer.leading_ids(), *tokenizer.encode(probe.prompt)]
        whole = [
            *tokenizer.leading_ids(),
            *tokenizer.encode(probe.prompt + given[probe.name].text),
        ]
        # The last token may be a part of a longer one once more text follows.
        if whole[: len(before)] == before and len(whole) > len(before) + 1:
            pieces.append((tuple(whole[:-1]), len(before) - 1))
    # A beginning is enough to see whether the server names the likeliest tokens at all.
    reader = await Reader.find(target, 2, pieces[0][0][:PROBE]) if pieces else None
    if reader is None or not reader.first.top:
        return None
    scored = await reader.read([piece for piece, _ in pieces])
    gaps = [
        _gap(value, top)
        for (_, start), one in zip(pieces, scored, strict=True)
        for value, top in zip(one.logprobs[start:], one.top[start:], strict=False)
    ]
    return fmean(gaps) if gaps else None


async def _foreign_tokens(target: Target, tokenizer: Tokenizer | None) -> float | None:
    """Prompts are scored as token ids, so a server's own tokenizer is looked at by itself."""
    if tokenizer is None:
        return None
    text = "\n\n".join(str(piece) for piece in held_out(None, 4, _TOKENIZED_CHARACTERS // 4))
    ours = [*tokenizer.leading_ids(), *tokenizer.encode(text)][1:]
    theirs = await server_token_ids(target, text)
    if not theirs:
        return None
    same = sum(a == b for a, b in zip(ours, theirs, strict=False))
    return 1 - same / max(len(ours), len(theirs))


def _gap(value: float, top: Choices) -> float:
    return min(_CAP_NATS, max(0.0, top[0][1] - value)) if top else math.nan


def _echoes(asked: Sequence[Prompted], given: dict[str, GreedyAnswer]) -> tuple[str, ...]:
    names = [p.name for p in asked if p.name in given]
    return tuple(
        f"{a} = {b}"
        for a, b in combinations(names, 2)
        if given[a].text == given[b].text and len(given[a].text) >= _COMPARABLE_CHARACTERS
    )


async def _replayed(target: Target, probe: Prompted) -> bool | None:
    """Two draws at a high temperature that are equal word for word came from no model."""
    drawn = [await ask(target, probe, dict(_SAMPLING)) for _ in range(2)]
    texts = [one.text for one in drawn if one is not None]
    if len(texts) < 2 or len(texts[0]) < _DRAWN_CHARACTERS:
        return None
    return texts[0] == texts[1]
