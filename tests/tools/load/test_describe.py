from tools.load.describe import describe_rows, describe_server, near_duplicates
from tools.load.tokenizer import Tokenizer
from tools.load.traces import TraceRow

LONG = " ".join(f"word{i}" for i in range(200))
OTHER = " ".join(f"other{i}" for i in range(200))


def test_shared_prefixes_are_found_in_whole_blocks(tokenizer: Tokenizer) -> None:
    rows = [TraceRow(LONG + " one", 5), TraceRow(LONG + " two", 5), TraceRow(OTHER, 5)]
    found = describe_rows("f", rows, tokenizer)
    one = tokenizer.count(LONG)
    assert found.shared_prefix_share is not None
    assert 0.8 * one < found.shared_prefix_share * sum(tokenizer.count(r.text) for r in rows) <= one
    assert found.exact_lengths
    alone = describe_rows("f", [TraceRow(LONG, 5), TraceRow(OTHER, 5)], tokenizer)
    assert alone.shared_prefix_share == 0


def test_recorded_blocks_need_no_text() -> None:
    rows = [
        TraceRow("", 5, 0.0, input_tokens=1024, blocks=(1, 2)),
        TraceRow("", 5, 1.0, input_tokens=1024, blocks=(1, 3)),
        TraceRow("", 5, 2.0, input_tokens=1024, blocks=(9, 3)),  # 3 after another block is new
    ]
    found = describe_rows("f", rows, None)
    assert found.shared_prefix_share == 512 / 3072
    assert found.near_duplicates is None
    assert found.rate_per_s == 1


def test_burstiness_is_told_from_evenness() -> None:
    even = describe_rows("f", [TraceRow("a", 1, float(i)) for i in range(100)], None)
    bunched = describe_rows("f", [TraceRow("a", 1, float(i // 20 * 20)) for i in range(100)], None)
    assert even.gap_cv is not None
    assert even.gap_cv < 0.01
    assert bunched.gap_cv is not None
    assert bunched.gap_cv > 2
    assert describe_rows("f", [TraceRow("a", 1)], None).gap_cv is None


def test_near_duplicates_are_those_that_differ_in_a_word() -> None:
    assert near_duplicates([LONG, OTHER, LONG.replace("word100 ", "changed ")]) == 1 / 3
    assert near_duplicates([LONG, OTHER]) == 0


def test_a_servers_own_counters() -> None:
    page = (
        '# HELP x\nvllm:request_prompt_tokens_sum{model_name="m"} 500.0\n'
        'vllm:request_prompt_tokens_count{model_name="m"} 5.0\n'
        'vllm:prefix_cache_queries_total{model_name="m"} 100.0\n'
        'vllm:prefix_cache_hits_total{model_name="m"} 25.0\n'
    )
    found = describe_server("u", page)
    assert found == {"requests": 5, "input_tokens_mean": 100, "prefix_cache_hit_share": 0.25}
    assert not describe_server("u", "nothing")
