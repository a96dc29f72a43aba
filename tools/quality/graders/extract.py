"""extract: what a regular expression finds in the answer is the right one."""

import re

from tools.quality.graders.base import Asked, Grade, Judge, Question
from tools.quality.graders.exact import GRADER as EXACT
from tools.quality.graders.exact import plain
from tools.quality.graders.regex import Regex


class Extract(Regex):
    """`pattern`, its first group if it has one, at its first place; `answer` as for exact."""

    def check(self, question: Question, judge: Judge | None) -> str | None:
        return super().check(question, judge) or EXACT.check(question, judge)

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
