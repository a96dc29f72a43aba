import json
from pathlib import Path

import pytest

from knowledge.errors import BadWorkload
from tools.load.trace import load_trace, trace_sha256

GOOD = {"prompt": "Hello", "output_tokens": 5}


def write(path: Path, *lines: object) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_prompts_and_messages_in_order(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
    rows = load_trace(
        write(
            tmp_path / "t.jsonl",
            GOOD | {"arrival_s": 1},
            "",
            {"messages": chat, "output_tokens": 9, "arrival_s": 2.5, "user": "x"},
        )
    )
    assert [row.output_tokens for row in rows] == [5, 9]
    assert [row.arrival_s for row in rows] == [1.0, 2.5]
    assert rows[0].messages is None
    assert rows[1].messages == tuple(chat)
    assert "Be brief" in rows[1].text


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        '{"prompt": "x"}',
        {"prompt": "", "output_tokens": 5},
        {"prompt": 5, "output_tokens": 5},
        {"prompt": "x", "output_tokens": 0},
        {"prompt": "x", "output_tokens": True},
        {"prompt": "x", "output_tokens": 10**30},
        {"prompt": "x", "output_tokens": 2.5},
        {"prompt": "x", "output_tokens": 5, "arrival_s": -1},
        {"prompt": "x", "output_tokens": 5, "arrival_s": "soon"},
        '{"prompt": "x", "output_tokens": 5, "arrival_s": NaN}',
        '{"prompt": "\\ud800", "output_tokens": 5}',
        {"prompt": "x", "messages": [], "output_tokens": 5},
        {"messages": [], "output_tokens": 5},
        {"messages": [{"role": "user"}], "output_tokens": 5},
    ],
)
def test_a_broken_line_is_named_with_its_file(tmp_path: Path, line: object) -> None:
    path = write(tmp_path / "mine.jsonl", GOOD, GOOD, line)
    with pytest.raises(BadWorkload, match=r"mine\.jsonl, строка 3: ") as caught:
        load_trace(path)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"prompt": "\xff", "output_tokens": 3}')
    with pytest.raises(BadWorkload, match="строка 1: не UTF-8"):
        load_trace(path)


@pytest.mark.parametrize("second", [GOOD, GOOD | {"arrival_s": 1}])
def test_arrivals_stand_in_every_line_and_do_not_go_back(tmp_path: Path, second: object) -> None:
    with pytest.raises(BadWorkload, match="строка 2: arrival_s"):
        load_trace(write(tmp_path / "t.jsonl", GOOD | {"arrival_s": 2}, second))


def test_a_missing_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWorkload, match="не читается"):
        load_trace(tmp_path / "none.jsonl")
    with pytest.raises(BadWorkload, match="нет ни одного запроса"):
        load_trace(write(tmp_path / "t.jsonl", "", " "))


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    one = trace_sha256(write(tmp_path / "a.jsonl", GOOD))
    assert one == trace_sha256(write(tmp_path / "b.jsonl", GOOD))
    assert one != trace_sha256(write(tmp_path / "c.jsonl", GOOD, GOOD))
