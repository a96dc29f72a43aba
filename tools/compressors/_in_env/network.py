"""Shared by the compressor jobs, in the `transformers` environment: a decoder and text for it."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

# Libraries print to stdout as they like; our lines get a channel of their own.
LINES = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def say(**line: Any) -> None:
    """One JSON line for the advisor."""
    LINES.write(json.dumps(line, ensure_ascii=False) + "\n")


def load(folder: str) -> Any:
    """The model in float32, for reading or training."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def save(model: Any, job: dict[str, Any]) -> None:
    """The checkpoint in bfloat16, as engines serve it, and its tokenizer."""
    model.to(torch.bfloat16).save_pretrained(job["out"])
    AutoTokenizer.from_pretrained(job["model"]).save_pretrained(job["out"])


def windows(job: dict[str, Any], keep_out: int = 0) -> list[list[int]]:
    """Pieces of `tokens` tokens, spread evenly over the text; `keep_out` more for a check."""
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    ids = tokenizer(job["text"], add_special_tokens=False, verbose=False)["input_ids"]
    tokens, wanted = job["tokens"], job["samples"] + keep_out
    available = len(ids) // tokens
    if available <= keep_out:
        raise ValueError(f"calibration text has {len(ids)} tokens, fewer than needed")
    count = min(wanted, available)
    if count < wanted:
        say(progress=f"текста хватило на {count - keep_out} из {job['samples']} отрывков")
    starts = [tokens * (i * available // count) for i in range(count)]
    return [ids[start : start + tokens] for start in starts]


def used(job: dict[str, Any], pieces: list[list[int]]) -> dict[str, Any]:
    """What the report says of the text."""
    return {
        "samples": len(pieces),
        "samples_asked": job["samples"],
        "tokens_per_sample": job["tokens"],
    }


@dataclass
class Block:
    """One decoder layer and where its matrices are."""

    name: str
    module: Any

    @property
    def attention(self) -> Any:
        return self.module.self_attn

    @property
    def mlp(self) -> Any:
        return self.module.mlp

    def linear(self) -> Iterator[tuple[str, Any]]:
        """Its linear layers by their short name."""
        for name, module in self.module.named_modules():
            if isinstance(module, torch.nn.Linear):
                yield name, module


def blocks(model: Any) -> list[Block]:
    """The decoder layers of a Llama-like network. Raises ValueError for others."""
    layers = getattr(getattr(model, "model", None), "layers", None)
    if layers is None:
        raise ValueError(f"{type(model).__name__} has no model.layers")
    found = [Block(f"model.layers.{i}", layer) for i, layer in enumerate(layers)]
    for part in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"):
        if not _has(found[0].module, part):
            raise ValueError(f"{type(model).__name__} has no {part} in its layers")
    return found


def _has(module: Any, path: str) -> bool:
    for part in path.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


@torch.inference_mode()
def loss_of(model: Any, pieces: list[list[int]]) -> float:
    """Mean negative log-likelihood, nats per token."""
    model.eval()
    losses = []
    for piece in pieces:
        ids = torch.tensor([piece])
        losses.append(model(ids, labels=ids).loss.item())
    return float(sum(losses) / len(losses))


class Layered:
    """Runs text through the decoder one layer at a time, so that each sees what those before it
    became, as Wanda and SparseGPT do."""

    def __init__(self, model: Any, pieces: list[list[int]]) -> None:
        self.blocks = blocks(model)
        self.states: list[Any] = []
        self._calls: list[dict[str, Any]] = []
        self._catch(model, pieces)

    def _catch(self, model: Any, pieces: list[list[int]]) -> None:
        """Hidden states and keyword arguments that reach the first layer."""

        class Caught(Exception):
            pass

        def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.states.append(args[0] if args else kwargs["hidden_states"])
            kwargs = {k: v for k, v in kwargs.items() if k != "hidden_states"}
            self._calls.append(kwargs | {"past_key_values": None, "use_cache": False})
            raise Caught

        handle = self.blocks[0].module.register_forward_pre_hook(hook, with_kwargs=True)
        with torch.inference_mode():
            for piece in pieces:
                try:
                    model(torch.tensor([piece]), use_cache=False)
                except Caught:
                    continue
        handle.remove()

    @torch.no_grad()
    def run(self, block: Block, *, keep: bool) -> None:
        """The layer over all states; `keep`: its output is what the next layer sees."""
        for i, (state, call) in enumerate(zip(self.states, self._calls, strict=True)):
            out = block.module(state, **call)
            out = out[0] if isinstance(out, tuple) else out
            if keep:
                self.states[i] = out


class InputMoments:
    """X^T X, or only its diagonal, of what reaches each linear layer of a block."""

    def __init__(self, block: Block, *, full: bool) -> None:
        self.sums: dict[str, Any] = {}
        self.count = 0
        self._full = full
        self._hooks = [
            module.register_forward_pre_hook(self._watch(name)) for name, module in block.linear()
        ]

    def _watch(self, name: str) -> Any:
        def hook(_module: Any, args: tuple[Any, ...]) -> None:
            seen = args[0].flatten(0, -2).float()
            new = seen.T @ seen if self._full else seen.square().sum(0)
            self.sums[name] = self.sums.get(name, 0) + new

        return hook

    def close(self) -> dict[str, Any]:
        """Stop watching; the sums by the layer's short name."""
        for hook in self._hooks:
            hook.remove()
        return self.sums


def out_of(job: dict[str, Any]) -> Path:
    """Where the checkpoint goes."""
    return Path(job["out"])
