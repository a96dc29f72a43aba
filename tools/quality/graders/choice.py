"""choice: of several continuations the right one is the likeliest per token."""

from statistics import fmean

from knowledge.errors import QualityUnavailable
from tools.quality.graders.base import Asked, Grade, Judge, Question
from tools.quality.logprobs import Reader


class Choice:
    """`prompt`, `choices` and `answer`, its text or its number from 0. Nothing is generated."""

    needs_answer = False

    def check(self, question: Question, judge: Judge | None) -> str | None:
        if not question.prompt or len(question.choices) < 2:
            return "нужны prompt и хотя бы две choices"
        return None if _right(question) is not None else "answer нет среди choices"

    async def grade(self, asked: Asked, text: str) -> Grade:
        """Raises QualityUnavailable where the server scores no text."""
        question, tokenizer = asked.question, asked.tokenizer
        if tokenizer is None:
            raise QualityUnavailable("выбор по log-вероятности требует токенизатора модели", "")
        before = [*tokenizer.leading_ids(), *tokenizer.encode(question.prompt)]
        pieces = [(*before, *tokenizer.encode(_spaced(choice))) for choice in question.choices]
        reader = await Reader.find(asked.target, 0, pieces[0])
        scored = [reader.first, *await reader.read(pieces[1:])]
        told = [one.logprobs[len(before) - 1 :] for one in scored]
        for logprobs in told:
            reader.refuse_drafts(logprobs)
        means = [fmean(logprobs) for logprobs in told]
        chosen = max(range(len(means)), key=means.__getitem__)
        return Grade(chosen == _right(question), f"вероятнее всего: {question.choices[chosen]!r}")


def _spaced(choice: str) -> str:
    return choice if choice[:1].isspace() else f" {choice}"


def _right(question: Question) -> int | None:
    answer = question.answer
    if isinstance(answer, int):
        return answer if 0 <= answer < len(question.choices) else None
    return question.choices.index(answer) if answer in question.choices else None


GRADER = Choice()
