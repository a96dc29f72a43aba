"""The text that quality is scored on: real, fixed, and never sent as load or calibration."""

import hashlib
import json
from collections.abc import Sequence

from knowledge.errors import BadInput
from tools.load.corpus import HELDOUT_PART, load_text
from tools.load.prompts import CHARACTERS_PER_TOKEN
from tools.load.tokenizer import Tokenizer

Piece = tuple[int, ...] | str
"""Token ids; text where the model's tokenizer is not at hand."""


def held_out(tokenizer: Tokenizer | None, chunks: int, chunk_tokens: int) -> tuple[Piece, ...]:
    """Disjoint pieces spread evenly over the held-out text; equal arguments give equal pieces.

    With a tokenizer each piece is what the model expects before a text (a BOS, or nothing) and
    `chunk_tokens` token ids. Raises BadInput when the text is too short for that.
    """
    text = load_text(HELDOUT_PART)
    if tokenizer is None:
        return tuple(
            text[start : start + chunk_tokens * CHARACTERS_PER_TOKEN].strip()
            for start in _starts(len(text), chunks, chunk_tokens * CHARACTERS_PER_TOKEN)
        )
    ids = tokenizer.encode(text)
    before = tokenizer.leading_ids()
    return tuple(
        (*before, *ids[start : start + chunk_tokens])
        for start in _starts(len(ids), chunks, chunk_tokens)
    )


def nested(pieces: Sequence[Piece], first: int) -> tuple[Piece, ...]:
    """The same pieces in an order of which every `first` are spread over the whole text."""
    stride = max(1, -(-len(pieces) // first))
    return tuple(piece for start in range(stride) for piece in pieces[start::stride])


def sha256_of(pieces: Sequence[Piece]) -> str:
    """What was scored: results of different hashes can't be compared."""
    return hashlib.sha256(json.dumps(pieces).encode()).hexdigest()


def _starts(length: int, chunks: int, size: int) -> list[int]:
    if chunks * size > length:
        raise BadInput(
            f"для проверки качества нужно {chunks} отрывков по {size}, а отложенного текста "
            f"только {length}",
            "Уменьшите число или длину отрывков",
        )
    return [i * length // chunks for i in range(chunks)]
