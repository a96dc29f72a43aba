"""The naive reference: transformers' generate() with its KV cache, one request at a time."""

import argparse
import asyncio
import collections
import json
import os
import signal
import tempfile
import threading
from collections.abc import AsyncGenerator
from typing import Any

import torch
import transformers
from openai_http import Ask, BadRequest, Piece, TokenScore, serve
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, StoppingCriteria
from transformers.generation.streamers import BaseStreamer
from transformers_options import build_parser

_UNLIMITED = 2**50
"""Bytes: Accelerate takes what it is told for what there is."""
_WEIGHTS_SHARE = 0.8
"""Of free GPU memory: KV and activations need some too."""
_MOST_LIKELY = 5
"""Tokens returned at every place of a scored prompt at most."""
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


class _Tokens(BaseStreamer):
    """Hands every generated token from generate()'s thread to the event loop."""

    def __init__(self, tokenizer: Any) -> None:
        self.queue: asyncio.Queue[Piece | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._tokenizer = tokenizer
        self._prompt_seen = False
        self._ids: list[int] = []
        # As vLLM detokenizes: a few tokens of context, so that spaces come out right.
        self._context = self._shown = 0

    def put(self, value: torch.Tensor) -> None:
        if not self._prompt_seen:  # generate() begins with the prompt itself
            self._prompt_seen = True
            return
        for token in value.flatten().tolist():
            self._ids.append(token)
            self._give(Piece(self._new_text()))

    def end(self) -> None:
        self._give(None)

    def _give(self, piece: Piece | None) -> None:
        self._loop.call_soon_threadsafe(self.queue.put_nowait, piece)

    def _new_text(self) -> str:
        """What the last tokens add to the text; bytes of an unfinished character wait."""
        before = self._decode(self._ids[self._context : self._shown])
        now = self._decode(self._ids[self._context :])
        if len(now) <= len(before) or now.endswith(_UNFINISHED):
            return ""
        self._context, self._shown = self._shown, len(self._ids)
        return now[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))


class _Cancelled(StoppingCriteria):
    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self.event.is_set(), device=input_ids.device)


class Reference:
    """One model, one request at a time, first come first served."""

    def __init__(self, options: argparse.Namespace) -> None:
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = AutoTokenizer.from_pretrained(
            options.model, local_files_only=True, trust_remote_code=False
        )
        self._network = _network(options, device)
        self._network.eval()
        self._device = device
        self._eos = self._network.generation_config.eos_token_id
        self._turn = asyncio.Lock()
        self.model = options.served_model_name
        self.max_model_len = getattr(self._network.config, "max_position_embeddings", 2048)
        self.settings = {
            "dtype": str(self._network.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "device": device,
            "attn-implementation": self._network.config._attn_implementation,
            **_offloaded(self._network, options),
            "transformers": transformers.__version__,
        }

    def encode(self, ask: Ask) -> list[int]:
        if isinstance(ask.prompt, list):
            if not all(0 <= token < len(self._tokenizer) for token in ask.prompt):
                raise BadRequest("token id out of the vocabulary")
            return ask.prompt
        if ask.messages is None:
            return list(self._tokenizer(ask.prompt)["input_ids"])
        try:
            text = self._tokenizer.apply_chat_template(
                ask.messages, add_generation_prompt=True, tokenize=False
            )
        except ValueError as error:  # a base model has no template
            raise BadRequest(str(error).split(". ", maxsplit=1)[0]) from error
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    async def generate(
        self, ask: Ask, ids: list[int], max_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        async with self._turn:
            if ask.gone():
                return
            tokens, cancelled = _Tokens(self._tokenizer), _Cancelled()
            work = asyncio.create_task(
                asyncio.to_thread(self._run, ask, ids, max_tokens, tokens, cancelled)
            )
            try:
                left = max_tokens
                while (piece := await tokens.queue.get()) is not None:
                    left -= piece.tokens
                    yield Piece(piece.text, piece.tokens, None if left else "length")
                await work
                if left:
                    yield Piece("", 0, "stop")
            finally:
                cancelled.event.set()
                await asyncio.wait([work])

    def _run(
        self, ask: Ask, ids: list[int], max_tokens: int, tokens: _Tokens, cancelled: _Cancelled
    ) -> None:
        prompt = torch.tensor([ids], device=self._device)
        sampling: dict[str, Any] = {"do_sample": False}
        if ask.temperature:
            sampling = {"do_sample": True, "temperature": ask.temperature}
        # generate() fills what it is not given from here; requests never overlap.
        self._network.generation_config.eos_token_id = None if ask.ignore_eos else self._eos
        try:
            with torch.inference_mode():
                self._network.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    max_new_tokens=max_tokens,
                    streamer=tokens,
                    stopping_criteria=[cancelled],
                    **sampling,
                )
        finally:
            tokens.end()

    async def score(self, ids: list[int]) -> list[TokenScore]:
        async with self._turn:
            return await asyncio.to_thread(self._score, ids)

    def _score(self, ids: list[int]) -> list[TokenScore]:
        tokens = torch.tensor([ids], device=self._device)
        with torch.inference_mode():
            logits = self._network(tokens).logits[0, :-1].float()
        scores = torch.log_softmax(logits, dim=-1)
        chosen = scores.gather(1, tokens[0, 1:, None])[:, 0].tolist()
        best = scores.topk(_MOST_LIKELY, dim=-1)
        tops = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [
            TokenScore(token, self._spell(token), logprob, self._likeliest(*top))
            for token, logprob, top in zip(ids[1:], chosen, tops, strict=True)
        ]

    def _likeliest(
        self, ids: list[int], logprobs: list[float]
    ) -> tuple[tuple[int, str, float], ...]:
        spelled = (self._spell(token) for token in ids)
        return tuple(zip(ids, spelled, logprobs, strict=True))

    def _spell(self, token: int) -> str:
        return str(self._tokenizer.decode([token]))

    def metrics(self) -> str | None:
        return None


def _network(options: argparse.Namespace, device: str) -> Any:
    """The checkpoint's weights; random ones where only its shape is there."""
    dtype = options.dtype if options.dtype == "auto" else getattr(torch, options.dtype)
    chosen = {"attn_implementation": options.attn_implementation, "trust_remote_code": False}
    if most := _most_memory(options, device):
        if options.load_format == "dummy":
            raise SystemExit("--load-format dummy has no weights that could be offloaded")
        return AutoModelForCausalLM.from_pretrained(
            options.model,
            dtype=dtype,
            local_files_only=True,
            device_map="auto",
            max_memory=most,
            offload_folder=_folder_for_a_while(),
            **chosen,
        )
    if options.load_format == "auto":
        return AutoModelForCausalLM.from_pretrained(
            options.model, dtype=dtype, local_files_only=True, **chosen
        ).to(device)
    config = AutoConfig.from_pretrained(
        options.model, local_files_only=True, trust_remote_code=False
    )
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(
            config, dtype=config.dtype if dtype == "auto" else dtype, **chosen
        )


def _folder_for_a_while() -> str:
    """Weights that can't be read from the checkpoint itself are written there, safetensors can.

    It goes with SIGTERM; what is killed outright leaves it.
    """
    folder = tempfile.TemporaryDirectory(prefix="offload-", ignore_cleanup_errors=True)

    def leave(*_: object) -> None:
        try:
            folder.cleanup()
        finally:
            os._exit(0)  # a thread of generate() would keep the interpreter

    signal.signal(signal.SIGTERM, leave)
    return folder.name


def _most_memory(options: argparse.Namespace, device: str) -> dict[int | str, int]:
    """Bytes of weights by place, as Accelerate wants them; empty where nothing is limited."""
    limits: dict[int | str, int] = {}
    if options.device_memory_gib is not None:
        if device != "cuda":
            raise SystemExit(
                "--device-memory-gib: there is no GPU; --host-memory-gib limits the host"
            )
        limits[0] = int(options.device_memory_gib * 2**30)
    if options.host_memory_gib is not None:
        limits["cpu"] = int(options.host_memory_gib * 2**30)
        if device == "cuda" and options.device_memory_gib is None:
            limits[0] = int(_WEIGHTS_SHARE * torch.cuda.mem_get_info()[0])
    elif limits:
        limits["cpu"] = _UNLIMITED
    return limits


def _offloaded(network: Any, options: argparse.Namespace) -> dict[str, object]:
    """How many modules lie where, and the limits that were asked for."""
    asked = {
        "device-memory-gib": options.device_memory_gib,
        "host-memory-gib": options.host_memory_gib,
    }
    limits = {name: value for name, value in asked.items() if value is not None}
    if not limits:
        return {}
    counted = collections.Counter(str(place) for place in network.hf_device_map.values())
    return {"offload": dict(counted), **limits}


def main() -> None:
    """Serve until killed."""
    options = build_parser().parse_args()
    transformers.logging.set_verbosity_error()
    if options.threads:
        torch.set_num_threads(options.threads)
    # cuDNN's attention builds a plan for every new length: some 70 ms per token on an H100 until
    # all lengths were seen. The reference must not be slower than a first script's second run.
    torch.backends.cuda.enable_cudnn_sdp(False)
    reference = Reference(options)
    print("settings:", json.dumps(reference.settings), flush=True)
    asyncio.run(serve(reference, options.host, options.port))


if __name__ == "__main__":
    main()
