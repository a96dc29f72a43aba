"""Log-probabilities of given tokens from a server that only says those of what it generates.

llama.cpp takes a grammar over token ids, so the text is generated from its first token on and each
step gives the log-probability that the model, before any sampler, had for the token that was
forced. It costs a step per token instead of one prefill. The answer is checked to be the text.

A token that speculation drafted and the server accepted comes with probability one: that is no
score. n-gram drafts come from what the server has read, so held-out text is scored once per server.
"""

from collections.abc import Sequence
from typing import Any

from tools.quality.text import Piece

_MOST_CERTAIN = 0.05
"""Share of tokens with probability one, to the last bit, that real text is believed to have."""


def fields(piece: Piece) -> dict[str, object]:
    """The body's fields that force the piece; the prompt is its first token."""
    if isinstance(piece, str):
        return {}
    allowed = " ".join(f"<[{token}]>" for token in piece[1:])
    return {
        "prompt": list(piece[:1]),
        "max_tokens": len(piece) - 1,
        "grammar": f"root ::= {allowed}",
        "logprobs": 1,
        "cache_prompt": False,
        "ignore_eos": False,
    }


def read(answer: dict[str, Any], piece: Piece) -> list[Any]:
    """None for the first token, then a value for each. Raises ValueError for any other text."""
    if isinstance(piece, str):
        raise ValueError("token ids are needed: the model's tokenizer is not there")
    steps = answer["choices"][0]["logprobs"]["content"]
    if [step["id"] for step in steps] != list(piece[1:]):
        raise ValueError("other tokens than those that were forced")
    return [None, *(step["logprob"] for step in steps)]


def drafted(logprobs: Sequence[float]) -> bool:
    """Whether more of them are certain than a model alone would be."""
    return sum(value == 0 for value in logprobs) > _MOST_CERTAIN * len(logprobs)
