import pytest

from knowledge.errors import BadInput
from tests.tools.quality.conftest import BOS
from tools.load.corpus import HELDOUT_PART, PROMPT_PART, load_text, paragraphs
from tools.load.tokenizer import Tokenizer
from tools.quality.text import held_out, sha256_of


def test_pieces_have_the_asked_length_and_are_always_the_same(tokenizer: Tokenizer) -> None:
    pieces = held_out(tokenizer, 5, 40)
    assert [len(piece) for piece in pieces] == [40] * 5
    assert pieces == held_out(tokenizer, 5, 40)
    assert len(set(pieces)) == 5


def test_pieces_come_from_the_held_out_part_and_not_from_prompts(tokenizer: Tokenizer) -> None:
    texts = [tokenizer.decode(list(piece)) for piece in held_out(tokenizer, 4, 400)]  # type: ignore[arg-type]
    assert all(text in load_text(HELDOUT_PART) for text in texts)
    assert not any(text in load_text(PROMPT_PART) for text in texts)
    assert not paragraphs(load_text(HELDOUT_PART)) & paragraphs(load_text(PROMPT_PART))


def test_a_bos_stands_before_every_piece_where_the_model_expects_one(
    bos_tokenizer: Tokenizer,
) -> None:
    for piece in held_out(bos_tokenizer, 3, 20):
        assert piece[0] == BOS
        assert len(piece) == 21


def test_without_a_tokenizer_pieces_are_text() -> None:
    pieces = held_out(None, 3, 50)
    assert all(isinstance(piece, str) and 150 < len(piece) <= 200 for piece in pieces)


def test_more_text_than_there_is_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(BadInput, match="отложенного текста"):
        held_out(tokenizer, 1000, 10_000)


def test_the_hash_tells_texts_apart(tokenizer: Tokenizer) -> None:
    hashes = {sha256_of(held_out(tokenizer, 3, n)) for n in (20, 21, 20)}
    assert len(hashes) == 2
