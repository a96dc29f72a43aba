from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.errors import BadModel
from tools.load.corpus import PROMPT_PART, load_text
from tools.load.tokenizer import Tokenizer


def test_special_tokens_count_as_prompt_tokens(
    tokenizer: Tokenizer, bos_tokenizer: Tokenizer
) -> None:
    text = "the value of the object"
    assert tokenizer.count(text) == len(tokenizer.encode(text))
    assert bos_tokenizer.count(text) == len(tokenizer.encode(text)) + 1
    assert bos_tokenizer.encode(text) == tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("tokens", [2, 3, 17, 100, 333])
@pytest.mark.parametrize("start", [0, 1001, 4_321])
def test_a_cut_is_a_start_of_the_text_with_just_that_many_tokens(
    tokenizer: Tokenizer, bos_tokenizer: Tokenizer, tokens: int, start: int
) -> None:
    text = load_text(PROMPT_PART)[start : start + 4_000]
    for one in (tokenizer, bos_tokenizer):
        piece, counted = one.cut_and_count(text, tokens)
        assert text.startswith(piece)
        assert counted == one.count(piece) == tokens


@given(text=st.text(max_size=60), tokens=st.integers(min_value=0, max_value=40))
def test_a_cut_never_counts_more_than_asked_and_says_what_it_counts(
    tokenizer: Tokenizer, text: str, tokens: int
) -> None:
    piece, counted = tokenizer.cut_and_count(text, tokens)
    assert text.startswith(piece)
    assert counted == tokenizer.count(piece) <= max(tokens, 0)


def test_what_is_too_short_stays_whole(tokenizer: Tokenizer) -> None:
    assert tokenizer.cut("the value", 1_000) == "the value"


def test_offsets_name_the_characters_of_each_token(tokenizer: Tokenizer) -> None:
    offsets = tokenizer.offsets("the value of naïve")
    assert offsets[0][0] == 0
    assert offsets[-1][1] == len("the value of naïve")


def test_from_folder_reads_a_tokenizer_and_refuses_what_is_none(
    tmp_path: Path, raw_json: str
) -> None:
    with pytest.raises(BadModel, match=r"нет tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{ not json", encoding="utf-8")
    with pytest.raises(BadModel, match="не читается"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text(raw_json, encoding="utf-8")
    assert Tokenizer.from_folder(tmp_path).vocab_size == 1200
