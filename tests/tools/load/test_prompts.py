import json
from collections.abc import Callable
from pathlib import Path

import pytest

from knowledge.errors import BadWorkload
from knowledge.types import Lengths, Workload
from tools.load.corpus import HELDOUT_PART, PROMPT_PART, load_text
from tools.load.prompts import Prompt, PromptSource
from tools.load.tokenizer import Tokenizer

Make = Callable[..., Workload]


def take(source: PromptSource, count: int) -> list[Prompt]:
    return [source.next() for _ in range(count)]


@pytest.mark.parametrize("text", ["natural", "random"])
def test_lengths_are_exact_and_within_what_was_asked(
    workload: Make, bos_tokenizer: Tokenizer, text: str
) -> None:
    asked = workload(
        text=text,
        input_tokens=Lengths(low=40, high=300),
        output_tokens=Lengths(low=3, high=9),
    )
    prompts = take(PromptSource(asked, bos_tokenizer, 1), 40)
    assert [bos_tokenizer.count(p.text) for p in prompts] == [p.input_tokens for p in prompts]
    assert all(40 <= p.input_tokens <= 300 for p in prompts)
    assert len({p.input_tokens for p in prompts}) > 10
    outputs = {p.output_tokens for p in prompts}
    assert outputs <= set(range(3, 10))
    assert len(outputs) > 4


@pytest.mark.parametrize("text", ["natural", "random"])
@pytest.mark.parametrize("with_tokenizer", [True, False])
def test_no_two_prompts_begin_alike(
    workload: Make, tokenizer: Tokenizer, text: str, with_tokenizer: bool
) -> None:
    source = PromptSource(workload(text=text), tokenizer if with_tokenizer else None, 3)
    starts = [p.text.split()[0] for p in take(source, 120)]
    assert len(set(starts)) == len(starts)


def test_the_seed_decides_and_preparing_changes_nothing(
    workload: Make, tokenizer: Tokenizer
) -> None:
    plain, prepared = (PromptSource(workload(), tokenizer, 5) for _ in range(2))
    while not prepared.prepare(7):
        pass
    assert take(plain, 12) == take(prepared, 12)
    assert take(PromptSource(workload(), tokenizer, 6), 12) != take(plain, 12)


def test_natural_text_is_a_passage_of_the_prompt_part(workload: Make, tokenizer: Tokenizer) -> None:
    asked = workload(input_tokens=Lengths(low=80, high=80))
    for prompt in take(PromptSource(asked, tokenizer, 2), 10):
        passage = prompt.text.split("\n", 1)[1]
        assert passage in load_text(PROMPT_PART)
        assert passage not in load_text(HELDOUT_PART)


def test_a_shared_prefix_is_shared_and_the_rest_is_not(
    workload: Make, tokenizer: Tokenizer
) -> None:
    asked = workload(shared_prefix_tokens=50, input_tokens=Lengths(low=80, high=90))
    prompts = take(PromptSource(asked, tokenizer, 2), 20)
    prefix = tokenizer.cut(prompts[0].text, 50)
    assert all(p.text.startswith(prefix) for p in prompts)
    assert len({p.text[len(prefix) + 2 :].split()[0] for p in prompts}) == 20
    assert all(tokenizer.count(p.text) == p.input_tokens <= 90 for p in prompts)


def test_a_shared_prefix_must_leave_room(workload: Make, tokenizer: Tokenizer) -> None:
    with pytest.raises(BadWorkload, match="общий префикс"):
        PromptSource(workload(shared_prefix_tokens=18), tokenizer, 0)


def test_longer_than_the_corpus_goes_round(workload: Make) -> None:
    tokens = len(load_text(PROMPT_PART)) // 2
    asked = workload(input_tokens=Lengths(low=tokens, high=tokens))
    assert len(PromptSource(asked, None, 0).next().text) == 4 * tokens


def test_a_trace_is_sent_as_it_stands_again_and_again(
    workload: Make, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"prompt": f"row {i}", "output_tokens": i + 1, "arrival_s": 2 * i} for i in range(3)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    prompts = take(PromptSource(workload(trace_path=str(path)), tokenizer, 0), 5)
    assert [p.text for p in prompts] == ["row 0", "row 1", "row 2", "row 0", "row 1"]
    assert [p.output_tokens for p in prompts] == [1, 2, 3, 1, 2]
    assert [p.arrival_s for p in prompts] == [0, 2, 4, 6, 8]
    assert prompts[0].input_tokens == tokenizer.count("row 0")


def test_a_trace_that_changed_is_refused(workload: Make, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"prompt": "x", "output_tokens": 1}', encoding="utf-8")
    with pytest.raises(BadWorkload, match="изменился"):
        PromptSource(workload(trace_path=str(path), trace_sha256="0" * 64), None, 0)
