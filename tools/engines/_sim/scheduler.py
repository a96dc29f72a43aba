"""Continuous batching as vLLM does it, with steps that only take time."""

import argparse
import asyncio
import contextlib
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field

from tools.engines._in_env.openai_http import Ask, Piece
from tools.engines._sim.cost import Cost

_BLOCK_TOKENS = 16


@dataclass(eq=False)
class _Sequence:
    """A request in the engine."""

    ids: list[int]
    max_tokens: int
    key: str
    """Hash of the prompt: what is said and accepted depends on it alone."""
    pieces: "asyncio.Queue[Piece]" = field(default_factory=asyncio.Queue)
    cached: int = 0
    read: int = 0
    written: int = 0

    @property
    def unread(self) -> int:
        return len(self.ids) - self.read


class Scheduler:
    """Admits up to max-num-seqs that fit the KV cache, then steps them all together."""

    def __init__(self, options: argparse.Namespace, cost: Cost) -> None:
        self._options = options
        self._cost = cost
        self._waiting: deque[_Sequence] = deque()
        self._running: list[_Sequence] = []
        self._work = asyncio.Event()
        self._blocks: set[bytes] = set()
        self._counters = dict.fromkeys(
            (
                *("prompt_tokens", "generation_tokens", "num_preemptions"),
                *("prefix_cache_queries", "prefix_cache_hits"),
                *("spec_decode_num_draft_tokens", "spec_decode_num_accepted_tokens"),
            ),
            0,
        )

    async def generate(
        self, ask: Ask, ids: list[int], max_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer, as the steps make them."""
        length = max(1, max_tokens // 2) if self._options.ignore_max_tokens else max_tokens
        key = hashlib.blake2b(repr(ids).encode(), digest_size=8).hexdigest()
        sequence = _Sequence(ids, length, key)
        self._waiting.append(sequence)
        self._work.set()
        try:
            while True:
                piece = await sequence.pieces.get()
                yield piece
                if piece.finish:
                    return
        finally:
            self._drop(sequence)

    async def run(self) -> None:
        """Step for ever."""
        due = time.perf_counter()
        while True:
            if not self._admit():
                self._work.clear()
                await self._work.wait()
                due = time.perf_counter()
                continue
            plan = self._plan()
            decoding = [sequence for sequence in self._running if not sequence.unread]
            due += self._cost.step_s(len(decoding), sum(plan.values()))
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._apply(decoding, plan)

    def _admit(self) -> bool:
        """Move from waiting to running. False when there is nothing to do at all."""
        while self._waiting and len(self._running) < self._options.max_num_seqs:
            held = sum(len(s.ids) + s.max_tokens for s in (*self._running, self._waiting[0]))
            if self._running and held > self._cost.kv_tokens:
                break
            sequence = self._waiting.popleft()
            self._look_up(sequence)
            self._running.append(sequence)
        return bool(self._running)

    def _look_up(self, sequence: _Sequence) -> None:
        """Whole blocks that were seen before need not be read again; the last token always."""
        if not self._options.enable_prefix_caching:
            return
        known = 0
        blocks = list(_block_hashes(sequence.ids))
        while known < len(blocks) and blocks[known] in self._blocks:
            known += 1
        self._blocks.update(blocks)
        sequence.read = min(known * _BLOCK_TOKENS, len(sequence.ids) - 1)
        self._counters["prefix_cache_queries"] += len(sequence.ids)
        self._counters["prefix_cache_hits"] += sequence.read

    def _plan(self) -> dict[_Sequence, int]:
        """Prompt tokens of this step by sequence; without chunks a prompt is read at once."""
        chunked = self._options.enable_chunked_prefill
        room = self._options.max_num_batched_tokens - len(self._running) if chunked else 10**9
        plan: dict[_Sequence, int] = {}
        for sequence in self._running:
            if sequence.unread and room > 0:
                plan[sequence] = min(sequence.unread, room)
                room -= plan[sequence]
        if not plan and all(sequence.unread for sequence in self._running):
            plan[self._running[0]] = 1  # a budget below the number of sequences must not stall
        return plan

    def _apply(self, decoding: list[_Sequence], plan: dict[_Sequence, int]) -> None:
        for sequence, tokens in plan.items():
            sequence.read += tokens
            self._counters["prompt_tokens"] += tokens
        for sequence in (*decoding, *(s for s in plan if not s.unread)):
            if sequence in self._running:
                self._write(sequence)

    def _write(self, sequence: _Sequence) -> None:
        """One token, and those of the speculated that hold."""
        held = self._cost.accepted(f"{sequence.key} {sequence.written}") if sequence.written else 0
        if sequence.written:
            self._counters["spec_decode_num_draft_tokens"] += self._cost.draft_tokens
            self._counters["spec_decode_num_accepted_tokens"] += held
        count = min(1 + held, sequence.max_tokens - sequence.written)
        text = "".join(_word(sequence.key, sequence.written + i) for i in range(count))
        sequence.written += count
        self._counters["generation_tokens"] += count
        finished = sequence.written == sequence.max_tokens
        if finished:
            self._running.remove(sequence)
        sequence.pieces.put_nowait(Piece(text, count, "length" if finished else None))

    def _drop(self, sequence: _Sequence) -> None:
        """Take out a sequence whose client is gone."""
        for place in (self._waiting, self._running):
            with contextlib.suppress(ValueError):
                place.remove(sequence)

    def metrics(self) -> str:
        used = sum(s.read + s.written for s in self._running) / self._cost.kv_tokens
        gauges = {
            "num_requests_running": len(self._running),
            "num_requests_waiting": len(self._waiting),
            "kv_cache_usage_perc": min(1.0, used),
        }
        counters = {f"{name}_total": value for name, value in self._counters.items()}
        return "".join(f"vllm:{name} {value}\n" for name, value in (gauges | counters).items())


def _block_hashes(ids: list[int]) -> Iterator[bytes]:
    """A hash per whole block that covers everything before it, too."""
    state = hashlib.blake2b(digest_size=12)
    for start in range(0, len(ids) - _BLOCK_TOKENS + 1, _BLOCK_TOKENS):
        state.update(repr(ids[start : start + _BLOCK_TOKENS]).encode())
        yield state.copy().digest()


def _word(key: str, place: int) -> str:
    return " " + hashlib.blake2b(f"{key} {place}".encode(), digest_size=3).hexdigest()
