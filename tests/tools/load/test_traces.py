"""Files as their authors publish them, recognized by what is in them."""

from pathlib import Path

import pytest

from knowledge.errors import BadWorkload
from knowledge.types import Workload
from tests.tools.load.test_arrivals import Make
from tools.load.prompts import PromptSource
from tools.load.tokenizer import Tokenizer
from tools.load.trace import format_of, load_trace

AZURE_2023 = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.6805900,374,44\n"
    "2023-11-16 18:15:50.9951690,396,109\n"
)
AZURE_2024 = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2024-05-10 00:00:00.009930+00:00,2162,5\n"
    "2024-05-10 00:00:00.500000+00:00,2399,0\n"
    "2024-05-10 00:00:01.009930+00:00,76,15\n"
)
BURST = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n"
    "45,ChatGPT,1087,0,1087,Conversation log\n"
    "118,GPT-4,417,276,693,Conversation log\n"
)
MOONCAKE = (
    '{"timestamp": 0, "input_length": 1100, "output_length": 20, "hash_ids": [1, 2, 3]}\n'
    '{"timestamp": 3000, "input_length": 1100, "output_length": 30, "hash_ids": [1, 2, 4]}\n'
)
SHARE = (
    '[{"id": "a", "conversations": [{"from": "human", "value": "How are you?"}, '
    '{"from": "gpt", "value": "I am fine, thank you."}]}, '
    '{"id": "b", "conversations": [{"from": "gpt", "value": "broken"}]}]'
)
VLLM = '{"prompt": "Hi"}\n{"prompt": "There", "output_tokens": 7}\n'
GUIDE = '{"prompt": "Hi", "prompt_tokens_count": 1, "output_tokens_count": 9}\n'
GUIDE_CSV = "text,output_tokens_count\nhello world,12\n"


@pytest.mark.parametrize(
    ("text", "name", "seen"),
    [
        (AZURE_2023, "azure", [(374, 44, 0.0), (396, 109, 4.314579)]),
        (AZURE_2024, "azure", [(2162, 5, 0.0), (76, 15, 1.0)]),
        (BURST, "burstgpt", [(472, 18, 5.0), (417, 276, 118.0)]),
        (MOONCAKE, "mooncake", [(1100, 20, 0.0), (1100, 30, 3.0)]),
        (SHARE, "sharegpt", [(None, 5, None)]),
        (VLLM, "vllm", [(None, 256, None), (None, 7, None)]),
        (GUIDE, "guidellm", [(None, 9, None)]),
        (GUIDE_CSV, "guidellm", [(None, 12, None)]),
        ('{"prompt": "a", "output_tokens": 3}', "jsonl", [(None, 3, None)]),
    ],
)
def test_each_format_is_recognized_and_read(
    tmp_path: Path, text: str, name: str, seen: list[tuple[int | None, int, float | None]]
) -> None:
    path = tmp_path / "trace.any"
    path.write_text(text, encoding="utf-8")
    assert format_of(path).name == name
    rows = load_trace(path)
    assert [(r.input_tokens, r.output_tokens) for r in rows] == [(i, o) for i, o, _ in seen]
    for row, (_, _, moment) in zip(rows, seen, strict=True):
        assert row.arrival_s == (pytest.approx(moment, abs=1e-6) if moment is not None else None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (AZURE_2023 + "yesterday,1,2\n", "строка 4"),
        (BURST + "200,GPT-4,many,2,3,API log\n", "строка 5"),
        (MOONCAKE + '{"timestamp": 9, "input_length": 0, "output_length": 1}\n', "строка 3"),
        (GUIDE + '{"prompt_tokens_count": 1}\n', "строка 2"),
        (VLLM + "\n{}\n", "строка 4"),
        ("[{", "строка 1"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "trace.any"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadWorkload, match=place) as caught:
        load_trace(path)
    assert caught.value.hint


def test_lengths_without_text_get_text_of_that_length(
    tmp_path: Path, workload: Make, tokenizer: Tokenizer
) -> None:
    path = tmp_path / "azure.csv"
    path.write_text(AZURE_2023, encoding="utf-8")
    asked: Workload = workload(trace_path=str(path))
    source = PromptSource(asked, tokenizer, 1)
    prompts = [source.next() for _ in range(4)]
    assert [p.input_tokens for p in prompts] == [374, 396, 374, 396]
    assert [tokenizer.count(p.text) for p in prompts] == [374, 396, 374, 396]
    assert len({p.text[:20] for p in prompts}) == 4
    assert [p.arrival_s for p in prompts] == sorted(p.arrival_s or 0 for p in prompts)


def test_equal_blocks_are_equal_text_and_nothing_else_is(
    tmp_path: Path, workload: Make, tokenizer: Tokenizer
) -> None:
    path = tmp_path / "mooncake.jsonl"
    path.write_text(MOONCAKE, encoding="utf-8")
    source = PromptSource(workload(trace_path=str(path)), tokenizer, 1)
    first, second, again = source.next(), source.next(), source.next()
    shared = len([1 for a, b in zip(first.text, second.text, strict=False) if a == b])
    common = next(
        i for i, (a, b) in enumerate(zip(first.text, second.text, strict=False)) if a != b
    )
    assert tokenizer.count(first.text[:common]) >= 1000
    assert shared
    assert first.text[:100] != again.text[:100]  # the next lap is not answered from the cache


def test_a_recorded_answer_gives_the_length_to_ask_for(
    tmp_path: Path, workload: Make, tokenizer: Tokenizer
) -> None:
    path = tmp_path / "share.json"
    path.write_text(SHARE, encoding="utf-8")
    prompt = PromptSource(workload(trace_path=str(path)), tokenizer, 1).next()
    assert prompt.output_tokens == tokenizer.count("I am fine, thank you.")
    assert prompt.text == "How are you?"
