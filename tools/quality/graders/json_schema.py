"""json_schema: the answer is JSON that the schema allows."""

import re

import orjson
from jsonschema import Draft202012Validator, SchemaError

from tools.quality.graders.base import Asked, Grade, Judge, Question

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


class JsonSchema:
    """`schema`; the JSON may stand in a fenced block."""

    needs_answer = True

    def check(self, question: Question, judge: Judge | None) -> str | None:
        if question.schema_ is None:
            return "нет schema"
        try:
            Draft202012Validator.check_schema(question.schema_)
        except SchemaError as error:
            return f"schema неверна: {error.message}"
        return None

    async def grade(self, asked: Asked, text: str) -> Grade:
        fenced = _FENCED.search(text)
        try:
            value = orjson.loads(fenced.group(1) if fenced else text)
        except orjson.JSONDecodeError:
            return Grade(False, "это не JSON")
        wrong = next(Draft202012Validator(asked.question.schema_ or {}).iter_errors(value), None)
        return Grade(wrong is None, wrong.message[:120] if wrong else "")


GRADER = JsonSchema()
