"""exact: the whole answer is the right one, spaces, case and the last full stop aside."""

from tools.quality.graders.base import Asked, Grade, Judge, Question


def plain(text: str) -> str:
    """One spelling of what is the same answer."""
    return " ".join(text.split()).rstrip(".").strip("\"'` ").casefold()


class Exact:
    """`answer`: a text, or several of which each is right."""

    needs_answer = True

    def check(self, question: Question, judge: Judge | None) -> str | None:
        return None if question.answer not in (None, "", ()) else "нет answer"

    async def grade(self, asked: Asked, text: str) -> Grade:
        right = asked.question.answer
        several = right if isinstance(right, tuple) else (str(right),)
        passed = plain(text) in {plain(one) for one in several}
        return Grade(passed, "" if passed else f"ждали {several[0]!r}")


GRADER = Exact()
