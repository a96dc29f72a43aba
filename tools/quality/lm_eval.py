"""Tasks of lm-evaluation-harness from local YAML files, as questions of ours.

What such a file says: EleutherAI, lm-evaluation-harness, docs/task_guide.md (2026-11-26). Data come
from local files only. Taken: multiple_choice, and generate_until with exact_match behind regex
filters. A choice is the likeliest per token here, which is closest to acc_norm. Few-shot examples
are the first of their split. Python (`!function`) is not run.
"""

import ast
import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, Field, ValidationError

from knowledge.errors import BadInput

MOST_QUESTIONS = 200
"""Taken evenly from a longer set: paired answers of so many tell a fall of a few points."""
_LANGUAGE = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
_SPLITS = ("test_split", "validation_split", "training_split")
_MEND = "Исправьте файл задачи lm-eval"

Doc = Mapping[str, Any]


class _Filter(BaseModel):
    filter: list[dict[str, Any]] = []


class _Data(BaseModel):
    data_files: str | list[str] | dict[str, str | list[str]] | None = None


class _Generation(BaseModel):
    until: str | list[str] | None = None
    max_gen_toks: int = Field(default=256, ge=1)


class _Shapes(BaseModel):
    """What of a task is looked into must at least have this form."""

    dataset_kwargs: _Data | None = None
    filter_list: list[_Filter] | None = None
    generation_kwargs: _Generation | None = None
    num_fewshot: int | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Task:
    """One YAML file with everything it includes."""

    path: Path
    settings: Mapping[str, Any]
    files: tuple[Path, ...]
    """All that the questions depend on."""


def is_task(found: object) -> bool:
    """Whether parsed YAML is a task of lm-eval and not a list of questions."""
    return isinstance(found, dict) and bool({"doc_to_text", "output_type", "include"} & set(found))


def read(path: Path) -> Task:
    """The file, on top of what it includes. Raises BadInput."""
    settings, files = _included(path, ())
    try:
        _Shapes.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"задача {path}: {where}: {first['msg']}", _MEND) from None
    data = _data_files(settings, path)
    used = {name for split in _splits(settings, data) for name in data.get(split, ())}
    return Task(path, settings, (*files, *sorted(used)))


def questions(task: Task) -> list[dict[str, Any]]:
    """Rows of our own format. Raises BadInput that says what is not understood."""
    settings = task.settings
    kind = settings.get("output_type", "generate_until")
    if kind not in ("multiple_choice", "generate_until"):
        raise _bad(
            task, f"output_type {kind!r} не поддержан", "Есть multiple_choice и generate_until"
        )
    data = _data_files(settings, task.path)
    split, examples = _splits(settings, data)
    docs = _docs(task, data, split)
    wanted = int(settings.get("num_fewshot") or 0)
    shots = (docs if examples == split else _docs(task, data, examples))[:wanted] if wanted else []
    if examples == split:  # an example is no question
        docs = docs[len(shots) :]
    if not docs:
        raise _bad(task, f"в наборе {split!r} нет строк", "Проверьте data_files")
    step = -(-len(docs) // MOST_QUESTIONS)
    taken = docs[::step]
    name = str(settings.get("task", task.path.stem))
    label = name if step == 1 else f"{name} ({len(taken)} из {len(docs)})"
    head = str(settings.get("description", "")) + "".join(_example(task, doc) for doc in shots)
    build = _choice if kind == "multiple_choice" else _generated
    return [
        {"id": f"{name}-{number * step + 1}", "label": label, **build(task, doc, head)}
        for number, doc in enumerate(taken)
    ]


def _choice(task: Task, doc: Doc, head: str) -> dict[str, Any]:
    choices = _choices(task, doc)
    return {
        "kind": "choice",
        "prompt": head + _text(task, "doc_to_text", doc),
        "choices": choices,
        "answer": _right(task, doc, choices),
    }


def _generated(task: Task, doc: Doc, head: str) -> dict[str, Any]:
    generation = task.settings.get("generation_kwargs") or {}
    until = generation.get("until") or [task.settings.get("fewshot_delimiter", "\n\n")]
    asked = {
        "prompt": head + _text(task, "doc_to_text", doc),
        "max_tokens": int(generation.get("max_gen_toks", 256)),
        "stop": [until] if isinstance(until, str) else list(until)[:4],
    }
    target = _targets(task, doc)
    if pattern := _pattern(task):
        found = [m for one in target for m in re.findall(pattern, one)]
        return {**asked, "kind": "extract", "pattern": pattern, "answer": found[:1] or target}
    return {**asked, "kind": "exact", "answer": target}


def _example(task: Task, doc: Doc) -> str:
    """One solved example before the question."""
    between = str(task.settings.get("target_delimiter", " "))
    after = str(task.settings.get("fewshot_delimiter", "\n\n"))
    if task.settings.get("output_type") == "multiple_choice":
        choices = _choices(task, doc)
        answer = choices[_right(task, doc, choices)]
    else:
        answer = _targets(task, doc)[0]
    return f"{_text(task, 'doc_to_text', doc)}{between}{answer}{after}"


def _choices(task: Task, doc: Doc) -> list[str]:
    found = _value(task, "doc_to_choice", doc)
    if isinstance(found, str):
        found = _literal(found)
    if isinstance(found, Mapping):
        found = list(found.values())
    if not isinstance(found, list | tuple) or len(found) < 2:
        raise _bad(task, "doc_to_choice не даёт списка ответов", _MEND)
    return [str(one) for one in found]


def _right(task: Task, doc: Doc, choices: Sequence[str]) -> int:
    found = _value(task, "doc_to_target", doc)
    if isinstance(found, str) and found.strip().isdigit() and found not in choices:
        found = int(found)
    if isinstance(found, bool):
        found = int(found)
    if isinstance(found, int) and 0 <= found < len(choices):
        return found
    if str(found) in choices:
        return list(choices).index(str(found))
    raise _bad(task, f"doc_to_target дал {found!r}, среди ответов такого нет", _MEND)


def _targets(task: Task, doc: Doc) -> list[str]:
    found = _value(task, "doc_to_target", doc)
    if isinstance(found, str) and found.startswith("["):
        found = _literal(found)
    several = found if isinstance(found, list | tuple) else [found]
    return [str(one) for one in several] or [""]


def _pattern(task: Task) -> str:
    """Of the first filter of the task; others are other views of the same answer."""
    filters = task.settings.get("filter_list") or []
    for step in (filters[0].get("filter") or []) if filters else []:
        if step.get("function") == "regex":
            return str(step.get("regex_pattern", r"#### (\-?[0-9\.\,]+)"))
    return ""


def _text(task: Task, key: str, doc: Doc) -> str:
    return str(_value(task, key, doc))


def _value(task: Task, key: str, doc: Doc) -> Any:
    """A column's name, a template over the columns, or what the file itself lists."""
    asked = task.settings.get(key)
    if asked is None:
        raise _bad(task, f"нет {key}", _MEND)
    if not isinstance(asked, str):
        return asked
    if asked in doc:
        return doc[asked]
    try:
        return _LANGUAGE.from_string(asked).render(**doc)
    except TemplateError as error:
        raise _bad(task, f"{key}: {error}", f"Есть столбцы: {', '.join(map(str, doc))}") from None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _splits(settings: Mapping[str, Any], data: Mapping[str, tuple[Path, ...]]) -> tuple[str, str]:
    """Where the questions are, and where the examples before them."""
    asked = next((str(settings[s]) for s in _SPLITS if settings.get(s)), next(iter(data)))
    return asked, str(settings.get("fewshot_split") or asked)


def _docs(task: Task, data: Mapping[str, tuple[Path, ...]], split: str) -> list[Doc]:
    if split not in data:
        raise _bad(task, f"нет набора {split!r}", f"В data_files есть: {', '.join(data)}")
    rows = [row for path in data[split] for row in _rows(task, path)]
    wrong = next((i for i, row in enumerate(rows, 1) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise _bad(task, f"строка {wrong} набора {split!r} — не объект", "Нужны строки с полями")
    return rows


def _rows(task: Task, path: Path) -> list[Any]:
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        if path.suffix == ".parquet":
            return _parquet(path)
        text = path.read_text(encoding="utf-8")
        if text.lstrip()[:1] == "[":
            return list(orjson.loads(text))
        return [orjson.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise _bad(
            task, f"{path} не прочитать: {error}", "Нужны JSON, JSONL, CSV или Parquet"
        ) from None


def _parquet(path: Path) -> list[Any]:
    import duckdb

    try:
        with duckdb.connect() as connection:
            table = connection.read_parquet(str(path))
            return [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    except duckdb.Error as error:
        raise ValueError(str(error)) from None


def _included(path: Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], tuple[Path, ...]]:
    if path in seen:
        raise BadInput(f"задача lm-eval включает сама себя: {path}", _MEND)
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = "!function не исполняем" if "!function" in str(error) else str(error).splitlines()[0]
        raise BadInput(f"задачу lm-eval не прочитать: {path} ({said})", _MEND) from None
    if not isinstance(own, dict):
        raise BadInput(f"в задаче lm-eval {path} нет настроек", _MEND)
    below = own.pop("include", None)
    if below is None:
        return own, (path,)
    settings, files = _included((path.parent / str(below)).resolve(), (*seen, path))
    return settings | own, (*files, path)


def _data_files(settings: Mapping[str, Any], path: Path) -> dict[str, tuple[Path, ...]]:
    """Split → files, beside the task unless their paths are absolute."""
    named = (settings.get("dataset_kwargs") or {}).get("data_files")
    local = str(settings.get("dataset_path", ""))
    if named is None and Path(local).suffix in (".json", ".jsonl", ".csv", ".parquet"):
        named = local
    if named is None:
        raise BadInput(
            f"задача {path}: данные {local or '(не названы)'} — не локальный файл",
            "Скачайте их и назовите в dataset_kwargs: {data_files: {test: данные.jsonl}}",
        )
    splits = named if isinstance(named, dict) else {"train": named}
    found = {}
    for split, several in splits.items():
        names = several if isinstance(several, list) else [several]
        found[str(split)] = tuple((path.parent / str(name)).resolve() for name in names)
    return found


def _bad(task: Task, what: str, mend: str) -> BadInput:
    return BadInput(f"задача {task.path}: {what}", mend)
