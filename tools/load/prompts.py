"""Prompts of asked lengths, made outside the timed path: natural or random text, or a trace."""

import random
import re
import string
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from knowledge.errors import BadWorkload
from knowledge.types import Workload
from tools.load.corpus import PROMPT_PART, load_text
from tools.load.lengths import draw
from tools.load.tokenizer import Tokenizer
from tools.load.trace import Message, TraceRow, load_trace, trace_sha256

_HEAD_WORDS = 3
_SURPLUS = (1.15, 1.6, 2.5, 4.0)
"""Passages are taken longer than asked, by so much, and cut: tokens differ in length."""
_SPARE_CHARACTERS = 40
_PROBE_CHARACTERS = 20_000
_LEAST_UNIQUE_TOKENS = 4
CHARACTERS_PER_TOKEN = 4
"""Rule of thumb for English where the model's tokenizer is not at hand."""


@dataclass(frozen=True)
class Prompt:
    """One request to send. input_tokens is exact with a tokenizer, an estimate without."""

    text: str
    input_tokens: int
    output_tokens: int
    arrival_s: float | None = None
    messages: tuple[Message, ...] | None = None
    turns: tuple["Turn", ...] = ()
    """What follows in the same conversation."""

    def followed_by(self, turn: "Turn", answer: str, answer_tokens: int | None) -> "Prompt":
        """The next request: all that was said, and the turn. Its length is reckoned up."""
        before = self.messages or ({"role": "user", "content": self.text},)
        messages = (
            *before,
            {"role": "assistant", "content": answer},
            {"role": "user", "content": turn.text},
        )
        length = self.input_tokens + (answer_tokens or 0) + turn.tokens
        text = f"{self.text}{answer}\n\n{turn.text}"
        return Prompt(text, length, turn.output_tokens, messages=messages)


@dataclass(frozen=True)
class Turn:
    """One later request of a conversation: what it adds, and the pause before it."""

    text: str
    tokens: int
    output_tokens: int
    think_s: float


class PromptSource:
    """An endless, seeded sequence of prompts: equal arguments give equal prompts.

    No two prompts begin alike, so that no prefix cache can answer, unless the workload asks for a
    shared prefix. A trace is sent as it stands, again from the start when it ends.
    """

    def __init__(self, workload: Workload, tokenizer: Tokenizer | None, seed: int) -> None:
        self.tokenizer = tokenizer
        self.traced = workload.trace_path is not None
        """The user's own requests, to be sent as they stand."""
        self._ready: deque[Prompt] = deque()
        self._stream = (
            _traced(workload, workload.trace_path, tokenizer, seed)
            if workload.trace_path
            else _synthetic(workload, tokenizer, seed)
        )
        self.requests_per_s: float | None = None
        """Pace of the last round; the generator notes it to know how many to prepare."""
        self.processes = 1
        """How many the generator should use next; it notes when a core was full."""

    def next(self) -> Prompt:
        return self._ready.popleft() if self._ready else next(self._stream)

    def prepare(self, count: int, budget_s: float = 0.05) -> bool:
        """Have `count` prompts at hand, as far as the time allows; True when they are.

        The order stays: what was prepared comes first.
        """
        end = time.monotonic() + budget_s
        while len(self._ready) < count and time.monotonic() < end:
            self._ready.append(next(self._stream))
        return len(self._ready) >= count


def _traced(
    workload: Workload, path: str, tokenizer: Tokenizer | None, seed: int
) -> Iterator[Prompt]:
    rows = load_trace(path)
    if workload.trace_sha256 not in (None, trace_sha256(path)):
        raise BadWorkload(
            f"файл нагрузки изменился с начала сессии: {path}", "Начните новую сессию"
        )
    if rows[0].text:
        return _replay(rows, tokenizer)
    return _invented(rows, tokenizer, random.Random(seed), random_text=workload.text == "random")


def _invented(
    rows: tuple[TraceRow, ...], tokenizer: Tokenizer | None, rng: random.Random, random_text: bool
) -> Iterator[Prompt]:
    """Text for rows of lengths only: no two begin alike, except where their blocks are equal."""
    passages: Passages = RandomTokens(tokenizer) if random_text else NaturalText(tokenizer)
    heads = _heads(passages.words, rng)
    blocks: dict[tuple[int, int], str] = {}
    lap = 0
    while True:
        for row, arrival in zip(rows, _moments(rows, lap), strict=True):
            length = row.input_tokens or 1
            start = "" if row.blocks else next(heads)
            for block in row.blocks[: length // row.block_tokens]:
                # In another lap the block is other text: no lap is answered from a cache.
                if (lap, block) not in blocks:
                    own = random.Random(f"{lap}/{block}")
                    blocks[lap, block] = _fit(passages, "", row.block_tokens, own, tokenizer)[0]
                start += blocks[lap, block] + "\n"
            text, tokens = _fit(
                passages, start + next(heads) if row.blocks else start, length, rng, tokenizer
            )
            yield Prompt(text, tokens, row.output_tokens, arrival)
        blocks.clear()
        lap += 1


def _moments(rows: tuple[TraceRow, ...], lap: int) -> list[float | None]:
    """Arrival times go on growing by the trace's span and one mean gap."""
    span = (rows[-1].arrival_s or 0) - (rows[0].arrival_s or 0)
    span += span / (len(rows) - 1) if len(rows) > 1 else 1.0
    return [None if row.arrival_s is None else row.arrival_s + lap * span for row in rows]


def _replay(rows: tuple[TraceRow, ...], tokenizer: Tokenizer | None) -> Iterator[Prompt]:
    """Rows again and again."""
    lengths = [_length(row.text, tokenizer) for row in rows]
    outputs = [_length(row.answer, tokenizer) if row.answer else row.output_tokens for row in rows]
    lap = 0
    while True:
        moments = _moments(rows, lap)
        for row, length, output, arrival in zip(rows, lengths, outputs, moments, strict=True):
            yield Prompt(row.text, length, output, arrival, row.messages)
        lap += 1


def _length(text: str, tokenizer: Tokenizer | None) -> int:
    return tokenizer.count(text) if tokenizer else max(1, len(text) // CHARACTERS_PER_TOKEN)


def _synthetic(workload: Workload, tokenizer: Tokenizer | None, seed: int) -> Iterator[Prompt]:
    shared = workload.shared_prefix_tokens
    if shared and shared + _LEAST_UNIQUE_TOKENS > workload.input_tokens.low:
        raise BadWorkload(
            f"общий префикс ({shared} токенов) не оставляет места для запроса "
            f"(от {workload.input_tokens.low} токенов)",
            "Уменьшите shared_prefix_tokens или увеличьте input_tokens",
        )
    return _generate(workload, tokenizer, random.Random(seed))


def _generate(
    workload: Workload, tokenizer: Tokenizer | None, rng: random.Random
) -> Iterator[Prompt]:
    natural = workload.text == "natural"
    passages: Passages = NaturalText(tokenizer) if natural else RandomTokens(tokenizer)
    shared, heads = workload.shared_prefix_tokens, _heads(passages.words, rng)
    prefixes = [
        _fit(passages, next(heads) if i else "", shared, rng, tokenizer)[0] + "\n\n"
        for i in range(workload.shared_prefixes if shared else 0)
    ]
    plain = workload.shared_prefix_share == 1 and len(prefixes) <= 1
    for head in heads:
        wanted = draw(workload.input_tokens, rng)
        output = draw(workload.output_tokens, rng)
        prefix = prefixes[0] if prefixes else ""
        if prefixes and not plain:
            carries = rng.random() < workload.shared_prefix_share
            prefix = rng.choice(prefixes) if carries else ""
        text, length = _fit(passages, prefix + head, wanted, rng, tokenizer)
        turns = _turns(workload, passages, rng, tokenizer) if workload.conversation else ()
        yield Prompt(text, length, output, turns=turns)


def _turns(
    workload: Workload, passages: "Passages", rng: random.Random, tokenizer: Tokenizer | None
) -> tuple[Turn, ...]:
    """The later requests of one conversation."""
    conversation = workload.conversation
    assert conversation is not None
    found = []
    for _ in range(draw(conversation.turns, rng) - 1):
        added = draw(conversation.added_tokens, rng)
        text, tokens = _fit(passages, "", added, rng, tokenizer)
        think = rng.expovariate(1 / conversation.think_s) if conversation.think_s else 0.0
        found.append(Turn(text, tokens, draw(workload.output_tokens, rng), think))
    return tuple(found)


def _fit(
    passages: "Passages", start: str, tokens: int, rng: random.Random, tokenizer: Tokenizer | None
) -> tuple[str, int]:
    """`start` and a passage, cut to `tokens`; and how many they are in the end."""
    if tokenizer is None:
        return (start + passages.take(tokens, rng))[: tokens * CHARACTERS_PER_TOKEN], tokens
    best = ("", 0)
    for surplus in _SURPLUS:
        best = tokenizer.cut_and_count(start + passages.take(int(surplus * tokens), rng), tokens)
        if best[1] == tokens:
            break
    return best


def _heads(words: tuple[str, ...], rng: random.Random) -> Iterator[str]:
    """Starts that differ: the first word comes again only after all others had their turn."""
    columns = [rng.sample(words, len(words)) for _ in range(_HEAD_WORDS)]
    number = 0
    while True:
        rest, head = number, []
        for column in columns:
            rest, digit = divmod(rest, len(column))
            head.append(column[digit])
        yield " ".join(head).capitalize() + ".\n"
        number += 1


class Passages(Protocol):
    """Where the body of a prompt comes from."""

    words: tuple[str, ...]

    def take(self, tokens: int, rng: random.Random) -> str:
        """Text of a little more than `tokens` tokens, to be cut to length."""


class NaturalText:
    """Pieces of the corpus, each from a random word on, so that it reads on."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self._text = load_text(PROMPT_PART)
        self._characters_per_token: float = CHARACTERS_PER_TOKEN
        if tokenizer:
            probe = self._text[:_PROBE_CHARACTERS]
            self._characters_per_token = len(probe) / max(1, tokenizer.count(probe))
        self.words = tuple(sorted(set(re.findall(r"\b[a-z]{4,9}\b", self._text))))

    def take(self, tokens: int, rng: random.Random) -> str:
        size = int(tokens * self._characters_per_token) + _SPARE_CHARACTERS
        begin = self._text.find(" ", rng.randrange(len(self._text))) + 1
        laps, end = divmod(begin + size, len(self._text))
        return (self._text * laps + self._text[:end])[begin:]


class RandomTokens:
    """Random tokens of the vocabulary; without a tokenizer random letters."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self._pieces = tokenizer.plain_pieces() if tokenizer else _letters()
        found = {p.strip().lower() for p in self._pieces if p.strip().isalpha()}
        self.words = tuple(sorted(found)) or _letters()

    def take(self, tokens: int, rng: random.Random) -> str:
        return "".join(rng.choices(self._pieces, k=tokens + _SPARE_CHARACTERS))


def _letters() -> tuple[str, ...]:
    rng, size = random.Random(0), CHARACTERS_PER_TOKEN - 1
    return tuple(" " + "".join(rng.choices(string.ascii_lowercase, k=size)) for _ in range(4096))
