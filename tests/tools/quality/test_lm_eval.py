"""Tasks of lm-evaluation-harness from local files."""

import json
from pathlib import Path

import duckdb
import pytest

from knowledge.errors import BadInput
from tools.load.target import Target
from tools.quality import graders
from tools.quality.graders.base import Asked, Question
from tools.quality.lm_eval import MOST_QUESTIONS
from tools.quality.tasks import load_tasks, tasks_sha256

_CHOICE = """
task: planets
dataset_path: json
dataset_kwargs: {data_files: {test: planets.jsonl, validation: shots.jsonl}}
test_split: test
fewshot_split: validation
num_fewshot: 1
output_type: multiple_choice
description: "Астрономия.\\n\\n"
doc_to_text: "Question: {{question.strip()}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: label
"""
_GENERATED = """
task: sums
dataset_path: sums.csv
doc_to_text: "{{a}} + {{b}} ="
doc_to_target: "{{a|int + b|int}} #### {{a|int + b|int}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 32}
filter_list:
  - name: strict
    filter: [{function: regex, regex_pattern: '#### (\\-?[0-9]+)'}, {function: take_first}]
"""


def write(folder: Path, task: str, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    path = folder / "task.yaml"
    path.write_text(task, encoding="utf-8")
    return path


def planets(count: int = 2) -> str:
    rows = [
        {"question": f" Planet {i}? ", "choices": ["Mars", "Venus"], "label": i % 2}
        for i in range(count)
    ]
    return "\n".join(map(json.dumps, rows))


SHOT = json.dumps({"question": "First?", "choices": ["Mercury", "Pluto"], "label": 0})


def choice_task(folder: Path, count: int = 2) -> Path:
    return write(folder, _CHOICE, planets_jsonl=planets(count), shots_jsonl=SHOT)


def test_a_choice_is_asked_after_its_examples(tmp_path: Path) -> None:
    found, judge = load_tasks(choice_task(tmp_path))
    assert judge is None
    assert [(one.kind, one.answer, one.choices) for one in found] == [
        ("choice", 0, ("Mars", "Venus")),
        ("choice", 1, ("Mars", "Venus")),
    ]
    assert found[1].prompt == (
        "Астрономия.\n\nQuestion: First?\nAnswer: Mercury\n\nQuestion: Planet 1?\nAnswer:"
    )
    assert {one.label for one in found} == {"planets"}


async def test_what_a_filter_finds_is_compared(tmp_path: Path) -> None:
    (question, *_), _ = load_tasks(write(tmp_path, _GENERATED, sums_csv="a,b\n2,3\n4,4\n"))
    assert (question.kind, question.answer, question.stop) == ("extract", ("5",), ("\n",))
    assert question.max_tokens == 32
    for said, right in (("so #### 5", True), ("so #### 15", False), ("5", False)):
        asked = Asked(question, Target("", "m"), None)
        assert (await graders.load("extract").grade(asked, said)).passed is right


def test_examples_of_the_same_split_are_not_asked_again(tmp_path: Path) -> None:
    task = _CHOICE.replace("fewshot_split: validation\n", "")
    path = write(tmp_path, task, planets_jsonl=planets(3), shots_jsonl=SHOT)
    found, _ = load_tasks(path)
    assert len(found) == 2
    assert all("Planet 0?" in one.prompt for one in found)


def test_examples_named_from_the_same_split_are_no_questions(tmp_path: Path) -> None:
    task = _CHOICE.replace("fewshot_split: validation", "fewshot_split: test")
    path = write(tmp_path, task, planets_jsonl=planets(3), shots_jsonl=SHOT)
    assert len(load_tasks(path)[0]) == 2


def test_a_long_set_is_thinned_and_says_so(tmp_path: Path) -> None:
    found, _ = load_tasks(choice_task(tmp_path, 2 * MOST_QUESTIONS + 1))
    assert len(found) <= MOST_QUESTIONS
    assert found[0].label == f"planets ({len(found)} из {2 * MOST_QUESTIONS + 1})"


def test_includes_parquet_and_a_list_of_choices(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        made = "SELECT 'Sky?' AS question, 'B' AS key"
        connection.execute(f"COPY ({made}) TO '{tmp_path / 'sky.parquet'}' (FORMAT parquet)")
    (tmp_path / "base.yaml").write_text(
        "output_type: multiple_choice\ndoc_to_text: question\ndoc_to_choice: ['green', 'blue']\n",
        encoding="utf-8",
    )
    path = write(
        tmp_path,
        "include: base.yaml\ndataset_path: sky.parquet\n"
        "doc_to_target: \"{{['A', 'B'].index(key)}}\"\n",
    )
    (question,), _ = load_tasks(path)
    assert (question.prompt, question.choices, question.answer) == ("Sky?", ("green", "blue"), 1)


def test_the_hash_covers_the_data(tmp_path: Path) -> None:
    path = choice_task(tmp_path)
    before = tasks_sha256(path)
    (tmp_path / "planets.jsonl").write_text(planets(3), encoding="utf-8")
    assert tasks_sha256(path) != before


def test_data_that_no_question_needs_may_be_missing(tmp_path: Path) -> None:
    task = _CHOICE.replace("validation: shots", "train: gone.jsonl, validation: shots")
    path = write(tmp_path, task, planets_jsonl=planets(), shots_jsonl=SHOT)
    assert len(load_tasks(path)[0]) == 2
    assert tasks_sha256(path)


def test_a_file_that_broke_since_has_another_hash(tmp_path: Path) -> None:
    path = choice_task(tmp_path)
    before = tasks_sha256(path)
    path.write_text("questions: [", encoding="utf-8")
    assert tasks_sha256(path) != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("doc_to_target: label", "doc_to_target: !function utils.f"), "!function"),
        (("output_type: multiple_choice", "output_type: loglikelihood"), "loglikelihood"),
        (("dataset_kwargs: {data_files: {test: planets.jsonl, validation: shots.jsonl}}",
          "dataset_name: main"), "data_files"),
        (("test_split: test", "test_split: exam"), "exam"),
        (("planets.jsonl", "gone.jsonl"), "gone.jsonl"),
        (("{{question.strip()}}", "{{frage}}"), "question"),
        (("doc_to_target: label", 'doc_to_target: "7"'), "7"),
        (("doc_to_choice: choices", "doc_to_choice: question"), "doc_to_choice"),
        (("num_fewshot: 1", "num_fewshot: many"), "num_fewshot"),
        (("num_fewshot: 1", "filter_list: strict"), "filter_list"),
        (("num_fewshot: 1", "generation_kwargs: [1]"), "generation_kwargs"),
        (("{{question.strip()}}", "{{''.__class__.__mro__}}"), "__class__"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_one_clear_line(tmp_path: Path, change, said: str) -> None:
    path = write(tmp_path, _CHOICE.replace(*change), planets_jsonl=planets(), shots_jsonl=SHOT)
    with pytest.raises(BadInput) as error:
        load_tasks(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_answer_without_a_pattern_is_exact(tmp_path: Path) -> None:
    task = _GENERATED[: _GENERATED.index("filter_list")].replace(" #### {{a|int + b|int}}", "")
    (question, *_), _ = load_tasks(write(tmp_path, task, sums_csv="a,b\n2,3\n"))
    assert question == Question(
        id="sums-1", kind="exact", label="sums", prompt="2 + 3 =", answer=("5",), max_tokens=32,
        stop=("\n",),
    )  # fmt: skip
