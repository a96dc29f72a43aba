from hypothesis import given
from hypothesis import strategies as st

from tools.load.sample import inter_token_latencies_ms
from tools.load.tokenizer import Tokenizer
from tools.load.tokens import Chunk, spread, tokens_per_chunk


def chunks(*pairs: tuple[str, int | None]) -> list[Chunk]:
    return [Chunk(float(i), text, counted) for i, (text, counted) in enumerate(pairs)]


def test_continuous_usage_counts_each_chunk_text_or_not() -> None:
    got = chunks(("a", 1), ("bcd", 4), ("", 5))
    assert tokens_per_chunk(got, 5, None) == [1, 3, 1]


def test_continuous_usage_that_stands_still_is_not_believed() -> None:
    assert tokens_per_chunk(chunks(("a", 0), ("b", 0), ("c", 3)), 3, None) == [1, 1, 1]


def test_the_tokenizer_counts_where_the_server_does_not(tokenizer: Tokenizer) -> None:
    texts = ("the value", " of", " naïve objects are")
    counts = tokens_per_chunk(chunks(*((t, None) for t in texts)), None, tokenizer)
    assert sum(counts) == tokenizer.count("".join(texts))
    assert counts == [len(tokenizer.encode(text)) for text in texts]


def test_without_any_count_a_chunk_is_a_token_scaled_to_the_final_usage() -> None:
    got = chunks(("a", None), ("b", None), ("c", None))
    assert tokens_per_chunk(got, None, None) == [1, 1, 1]
    assert tokens_per_chunk(got, 6, None) == [2, 2, 2]
    assert sum(tokens_per_chunk(got, 7, None)) == 7


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 500))
def test_spreading_keeps_the_total_and_an_early_start(weights: list[int], total: int) -> None:
    shares = spread(weights, total)
    assert len(shares) == len(weights)
    assert sum(shares) == (total if sum(weights) else 0)
    assert all(share >= 0 for share in shares)
    first = next((i for i, weight in enumerate(weights) if weight), None)
    if total and first is not None:
        assert shares[first] >= 1


def test_tokens_of_one_chunk_have_no_gap_between_them() -> None:
    gaps = inter_token_latencies_ms((1.0, 1.5, 1.75), (2, 3, 1))
    assert gaps == (0.0, 500.0, 0.0, 0.0, 250.0)
    assert inter_token_latencies_ms((), ()) == ()
