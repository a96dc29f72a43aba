"""extract: what a regular expression finds in the answer is the right one."""

import re

from tools.quality.graders.base import Asked, Grade, Judge, Question
from tools.quality.graders.exact import plain


class Extract:
    """`pattern`, its first group if it has one, at its first place; `answer` as for exact."""

    needs_answer = True

    def check(self, question: Question, judge: Judge | None) -> str | None:
        if not question.pattern:
            return "нет pattern"
        try:
            re.compile(question.pattern)
        except re.error as error:
            return f"pattern не разобрать: {error}"
        return None if question.answer not in (None, "", ()) else "нет answer"

    async def grade(self, asked: Asked, text: str) -> Grade:
        right = asked.question.answer
        several = right if isinstance(right, tuple) else (str(right),)
        match = re.search(asked.question.pattern, text)
        if match is None:
            return Grade(False, f"нет {asked.question.pattern!r}")
        said = next((group for group in match.groups() if group is not None), match.group())
        passed = plain(said) in {plain(one) for one in several}
        return Grade(passed, "" if passed else f"ждали {several[0]!r}, найдено {said!r}")


GRADER = Extract()
