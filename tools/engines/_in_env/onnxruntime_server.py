"""onnxruntime-genai behind the small OpenAI-compatible server: a generator for each request."""

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import onnxruntime_genai as og
from onnxruntime_options import build_parser
from openai_http import Ask, BadRequest, Piece, TokenScore, serve
from tokenizers import Tokenizer

_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


class Backend:
    """One model. At most `parallel` requests are generated at once, first come first served."""

    def __init__(self, options: argparse.Namespace) -> None:
        config = og.Config(options.model)
        session: dict[str, object] = {"graph_optimization_level": None}
        session["graph_optimization_level"] = _LEVELS[options.graph_optimization_level]
        for name in ("intra_op_num_threads", "inter_op_num_threads"):
            if (count := getattr(options, name)) is not None:
                session[name] = count
        overlay = {"model": {"decoder": {"session_options": session}}}
        config.overlay(json.dumps(overlay))
        self._network = og.Model(config)
        self._tokenizer = og.Tokenizer(self._network)
        # GenAI's own reading of tokenizer.json knows no pre-tokenizer that parts digits.
        self._encoder = Tokenizer.from_file(str(Path(options.model) / "tokenizer.json"))
        self._encoder.no_truncation()
        self._turns = asyncio.Semaphore(options.parallel)
        described = json.loads((Path(options.model) / "genai_config.json").read_text())
        ends = described["model"]["eos_token_id"]
        self._ends = set(ends if isinstance(ends, list) else [ends])
        self._vocabulary = described["model"]["vocab_size"]
        self.model = options.served_model_name
        self.max_model_len = described["model"]["context_length"]
        self.generated = self.prompted = self.running = self.waiting = 0
        self.settings = {
            "parallel": options.parallel,
            "graph-optimization-level": options.graph_optimization_level,
            "intra-op-num-threads": options.intra_op_num_threads,
            "inter-op-num-threads": options.inter_op_num_threads,
            "device": self._network.device_type,
            "onnxruntime-genai": og.__version__,
        }

    def encode(self, ask: Ask) -> list[int]:
        if isinstance(ask.prompt, list):
            if not all(0 <= token < self._vocabulary for token in ask.prompt):
                raise BadRequest("token id out of the vocabulary")
            return ask.prompt
        text = ask.prompt
        if text is None:
            messages = json.dumps(ask.messages)
            text = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        return list(self._encoder.encode(text, add_special_tokens=ask.prompt is not None).ids)

    async def generate(
        self, ask: Ask, ids: list[int], max_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        self.waiting += 1
        async with self._turns:
            self.waiting -= 1
            if ask.gone():
                return
            self.running += 1
            self.prompted += len(ids)
            queue: asyncio.Queue[Piece | None] = asyncio.Queue()
            cancelled = threading.Event()
            loop = asyncio.get_running_loop()

            def give(piece: Piece | None) -> None:
                loop.call_soon_threadsafe(queue.put_nowait, piece)

            work = asyncio.create_task(
                asyncio.to_thread(self._run, ask, ids, max_tokens, give, cancelled)
            )
            try:
                while (piece := await queue.get()) is not None:
                    self.generated += piece.tokens
                    yield piece
                await work
            finally:
                cancelled.set()
                await asyncio.wait([work])
                self.running -= 1

    def _run(
        self, ask: Ask, ids: list[int], max_tokens: int, give: Any, cancelled: threading.Event
    ) -> None:
        try:
            generator = self._generator(len(ids) + max_tokens, ask)
            generator.append_tokens(np.array(ids, dtype=np.int32))
            stream = self._tokenizer.create_stream()
            for left in range(max_tokens, 0, -1):
                if cancelled.is_set():
                    return
                if ask.ignore_eos:
                    self._without_ends(generator)
                generator.generate_next_token()
                token = int(generator.get_next_tokens()[0])
                if token in self._ends and not ask.ignore_eos:
                    give(Piece("", 1, "stop"))
                    return
                give(Piece(stream.decode(token), 1, "length" if left == 1 else None))
        finally:
            give(None)

    def _without_ends(self, generator: Any) -> None:
        """The ends of a text are out of the question: a token of the text is taken instead."""
        logits = generator.get_logits()
        logits[..., sorted(self._ends)] = np.finfo(logits.dtype).min
        generator.set_logits(logits)

    def _generator(self, max_length: int, ask: Ask | None = None) -> Any:
        params = og.GeneratorParams(self._network)
        sampling: dict[str, Any] = {"do_sample": False}
        if ask is not None and ask.temperature:
            sampling = {"do_sample": True, "temperature": ask.temperature}
        params.set_search_options(max_length=max_length, batch_size=1, **sampling)
        return og.Generator(self._network, params)

    async def score(self, ids: list[int]) -> list[TokenScore]:
        async with self._turns:
            return await asyncio.to_thread(self._score, ids)

    def _score(self, ids: list[int]) -> list[TokenScore]:
        generator = self._generator(len(ids) + 1)
        generator.append_tokens(np.array(ids, dtype=np.int32))
        logits = np.asarray(generator.get_output("logits"), dtype=np.float64)[0, : len(ids) - 1]
        if len(logits) != len(ids) - 1:
            raise BadRequest("this graph gives the logits of the last token alone")
        highest = logits.max(axis=-1, keepdims=True)
        normal = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=-1))
        chosen = logits[np.arange(len(logits)), ids[1:]] - normal
        return [
            TokenScore(token, self._tokenizer.decode(np.array([token], dtype=np.int32)), float(one))
            for token, one in zip(ids[1:], chosen, strict=True)
        ]

    def metrics(self) -> str:
        rows = {
            "requests_running": self.running,
            "requests_waiting": self.waiting,
            "prompt_tokens_total": self.prompted,
            "generation_tokens_total": self.generated,
        }
        return "".join(f"ortgenai:{name} {value}\n" for name, value in rows.items())


def main() -> None:
    """Serve until killed."""
    options = build_parser().parse_args()
    backend = Backend(options)
    print("settings:", json.dumps(backend.settings), flush=True)
    asyncio.run(serve(backend, options.host, options.port))


if __name__ == "__main__":
    main()
