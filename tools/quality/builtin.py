"""Cheap questions that every server is asked: structured output, and a fact hidden far back."""

import random
from collections.abc import Mapping
from typing import Any

from tools.load.corpus import HELDOUT_PART, load_text
from tools.load.tokenizer import Tokenizer
from tools.quality.graders.base import Question

_FACT = "The secret number of the archive is"
_SHORTEST_TOKENS = 128
_DEPTHS = (0.1, 0.5, 0.9)
_SCHEMAS: tuple[tuple[str, Mapping[str, object]], ...] = (
    (
        "Ann is 31 years old and lives in Oslo.",
        {"name": {"type": "string"}, "age": {"type": "integer"}},
    ),
    (
        "The box weighs 4 kg and is red.",
        {"weight_kg": {"type": "number"}, "color": {"enum": ["red", "green", "blue"]}},
    ),
)


def structured() -> tuple[Question, ...]:
    """JSON that the server is told to keep to; one that can't refuses and is not compared."""
    return tuple(
        Question(
            id=f"structured-{i}",
            kind="json_schema",
            label="structured output",
            messages=({"role": "user", "content": f"{text} Reply with JSON only."},),
            max_tokens=40,
            schema=_object(properties),
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": _object(properties), "strict": True},
            },
        )
        for i, (text, properties) in enumerate(_SCHEMAS)
    )


def _object(properties: Mapping[str, object]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def retrieval(lengths: tuple[int, ...], tokenizer: Tokenizer | None) -> tuple[Question, ...]:
    """A number hidden in real text of the asked length in tokens, at three depths."""
    if tokenizer is None:
        return ()
    return tuple(
        _needle(length, depth, tokenizer)
        for length in lengths
        for depth in _DEPTHS
        if length > _SHORTEST_TOKENS
    )


def _needle(length: int, depth: float, tokenizer: Tokenizer) -> Question:
    code = str(random.Random(f"{length} {depth}").randrange(100_000, 1_000_000))
    whole = load_text(HELDOUT_PART)
    while tokenizer.count(whole) < length:
        whole += "\n\n" + whole
    needle, question = f"{_FACT} {code}.\n", f"\n\n{_FACT}"
    text = tokenizer.cut(whole, length - tokenizer.count(f"{needle}{question} {code}"))
    at = text.find("\n", int(depth * len(text))) + 1 or len(text)
    return Question(
        id=f"retrieval-{length}-{depth:g}",
        kind="choice",
        label="long-context retrieval",
        prompt=f"{text[:at]}{needle}{text[at:]}{question}",
        choices=(code, *_others(code)),
        answer=0,
    )


def _others(code: str) -> tuple[str, ...]:
    """Wrong numbers of the same length that share no beginning with the right one."""
    chance = random.Random(code)
    firsts = [digit for digit in "123456789" if digit != code[0]]
    return tuple(f"{first}{chance.randrange(100_000):05d}" for first in chance.sample(firsts, 3))
