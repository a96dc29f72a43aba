"""The user's own questions from a file, and a few cheap ones of ours: asked, answered, graded."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from knowledge.errors import BadInput, QualityUnavailable
from knowledge.types import QualityPlan, TaskAnswer
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality import graders, lm_eval
from tools.quality.ask import Prompted, ask, in_turn
from tools.quality.builtin import retrieval, structured
from tools.quality.graders.base import Asked, Grade, Judge, Question

_SHOWN_CHARACTERS = 200
_MEND = "Исправьте файл задач"
_YAML = (".yaml", ".yml")


def load_tasks(
    path: Path, environ: Mapping[str, str] | None = None
) -> tuple[tuple[Question, ...], Judge | None]:
    """Questions of a .jsonl (one a line) or .yaml file (a list, {judge, questions}, or a task of
    lm-evaluation-harness).

    In .jsonl a line {"judge": {…}} names the judge. Raises BadInput that says which line is
    wrong and why.
    """
    rows, judge_row = _rows(path)
    judge = _judge(judge_row, os.environ if environ is None else environ)
    questions = tuple(_question(row, i + 1, judge) for i, row in enumerate(rows))
    if not questions:
        raise BadInput(f"в файле задач {path} нет вопросов", "Нужна хотя бы одна строка")
    doubled = sorted({q.id for q in questions if sum(q.id == o.id for o in questions) > 1})
    if doubled:
        raise BadInput(f"в файле задач повторяется id {doubled[0]!r}", "Дайте вопросам разные id")
    return questions, judge


def tasks_sha256(path: Path) -> str:
    """Of the file as it is, and of all that it names: a result belongs to these questions."""
    whole = hashlib.sha256(path.read_bytes())
    for other in _task_files(path):
        whole.update(other.read_bytes())
    return whole.hexdigest()


def _task_files(path: Path) -> tuple[Path, ...]:
    """What a task of lm-eval reads beside itself; what can't be parsed, load_tasks complains of."""
    if path.suffix not in _YAML:
        return ()
    try:
        found = _parsed(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError):
        return ()
    files = lm_eval.read(path).files if lm_eval.is_task(found) else ()
    return tuple(file for file in files if file != path)


def _parsed(text: str) -> Any:
    """Python that a task of lm-eval names is not run; whoever reads the task says so."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        if "!function" in text:
            return {"output_type": "!function"}
        raise


async def solve(
    target: Target, plan: QualityPlan, tokenizer: Tokenizer | None
) -> tuple[TaskAnswer, ...]:
    """Our cheap checks where the plan has them, then the user's file. Raises QualityUnavailable
    where the server fails, BadInput where the file changed since it was hashed."""
    own = (*(structured() if plan.answers else ()), *retrieval(plan.retrieval_tokens, tokenizer))
    solved = await answer_all(target, own, tokenizer, None)
    if plan.tasks_path is None:
        return solved
    path = Path(plan.tasks_path)
    if plan.tasks_sha256 and tasks_sha256(path) != plan.tasks_sha256:
        raise BadInput(f"файл задач изменился: {path}", "Начните сессию заново")
    questions, judge = load_tasks(path)
    return (*solved, *await answer_all(target, questions, tokenizer, judge))


async def answer_all(
    target: Target,
    questions: Sequence[Question],
    tokenizer: Tokenizer | None,
    judge: Judge | None,
) -> tuple[TaskAnswer, ...]:
    """In order. A question that the server refuses (its chat, its response_format) is left out
    for every server alike, so that pairs stay pairs."""

    async def one(question: Question) -> TaskAnswer | None:
        asked = Asked(question, target, tokenizer, judge)
        return await _answer(asked)

    done = await in_turn(one, questions)
    return tuple(answer for answer in done if answer is not None)


async def _answer(asked: Asked) -> TaskAnswer | None:
    question = asked.question
    grader, text = graders.load(question.kind), ""
    if grader.needs_answer:
        turns = tuple((m["role"], m["content"]) for m in question.messages)
        prompted = Prompted(question.id, question.prompt, turns, question.max_tokens)
        more: dict[str, object] = {}
        if question.response_format:
            more["response_format"] = question.response_format
        if question.stop:
            more["stop"] = list(question.stop)
        said = await ask(asked.target, prompted, more)
        if said is None:
            return None
        text = said.text
    grade: Grade = await grader.grade(asked, text)
    return TaskAnswer(
        question_id=question.id,
        kind=question.label or question.kind,
        passed=grade.passed,
        answer=text[:_SHOWN_CHARACTERS],
        reason=grade.reason,
    )


def _rows(path: Path) -> tuple[list[Any], object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"файл задач не прочитать: {path}", "Проверьте путь и кодировку") from error
    try:
        if path.suffix in _YAML:
            found = _parsed(text)
            if lm_eval.is_task(found):
                return lm_eval.questions(lm_eval.read(path)), None
            if isinstance(found, dict):
                return list(found.get("questions") or []), found.get("judge")
            return list(found or []), None
        rows = [orjson.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, TypeError, yaml.YAMLError) as error:
        said = str(error).splitlines()[0]
        raise BadInput(
            f"файл задач не разобрать: {path} ({said})", "Нужен JSONL или YAML"
        ) from error
    judges = [row["judge"] for row in rows if isinstance(row, dict) and set(row) == {"judge"}]
    rest = [row for row in rows if not (isinstance(row, dict) and set(row) == {"judge"})]
    return rest, judges[0] if judges else None


def _question(row: object, number: int, judge: Judge | None) -> Question:
    try:
        question = Question.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"вопрос {number}: {where}: {first['msg']}", _MEND) from None
    if not question.id:
        question = question.model_copy(update={"id": f"q{number}"})
    if not (question.prompt or question.messages):
        raise BadInput(f"вопрос {number}: нет ни prompt, ни messages", _MEND)
    if any({"role", "content"} - set(turn) for turn in question.messages):
        raise BadInput(f"вопрос {number}: в messages нужны role и content", _MEND)
    if lacking := graders.load(question.kind).check(question, judge):
        raise BadInput(f"вопрос {number} ({question.kind}): {lacking}", _MEND)
    return question


def _judge(row: object, environ: Mapping[str, str]) -> Judge | None:
    """base_url, model, and the name of the variable that holds the key."""
    if row is None:
        return None
    if not isinstance(row, dict) or not {"base_url", "model"} <= set(row):
        raise BadInput("judge: нужны base_url и model", _MEND)
    variable = row.get("api_key_env")
    key = environ.get(str(variable)) if variable else None
    if variable and not key:
        raise BadInput(f"judge: переменная {variable} не задана", "Задайте ключ судьи в ней")
    return Judge(Target(base_url=str(row["base_url"]), model=str(row["model"]), api_key=key))


__all__ = ["QualityUnavailable", "answer_all", "load_tasks", "solve", "tasks_sha256"]
