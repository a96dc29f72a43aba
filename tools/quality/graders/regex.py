"""regex: a regular expression is found in the answer."""

import re

from tools.quality.graders.base import Asked, Grade, Judge, Question


class Regex:
    """`pattern`, as Python writes it; (?i) and the like stand in it."""

    needs_answer = True

    def check(self, question: Question, judge: Judge | None) -> str | None:
        if not question.pattern:
            return "нет pattern"
        try:
            re.compile(question.pattern)
        except re.error as error:
            return f"pattern не разобрать: {error}"
        return None

    async def grade(self, asked: Asked, text: str) -> Grade:
        passed = re.search(asked.question.pattern, text) is not None
        return Grade(passed, "" if passed else f"нет {asked.question.pattern!r}")


GRADER = Regex()
