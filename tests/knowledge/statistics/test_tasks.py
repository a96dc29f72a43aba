import random

import pytest

from knowledge.statistics.tasks import compare_tasks, mcnemar_p, paired_difference
from knowledge.types import QualityResult, TaskAnswer


def solved(*passed: bool, kind: str = "exact") -> QualityResult:
    answers = tuple(
        TaskAnswer(question_id=f"{kind}{i}", kind=kind, passed=ok) for i, ok in enumerate(passed)
    )
    return QualityResult(
        tokens=1, mean_logprob=-1, perplexity=2.7, chunk_logprobs=((-1.0,),), text_sha256="t",
        seconds=1, tasks=answers,
    )  # fmt: skip


def test_the_same_answers_differ_by_nothing_and_few_prove_nothing() -> None:
    few = solved(*[True, False] * 5)
    (one,) = compare_tasks(few, few, margin=0.05, seed=0)
    assert one.difference.value == 0
    assert not one.worse
    assert not one.non_inferior  # ten questions can't exclude a loss of five points
    many = solved(*[True, False] * 100)
    (one,) = compare_tasks(many, many, margin=0.05, seed=0)
    assert one.non_inferior


def test_a_clear_loss_is_worse() -> None:
    right = [True] * 40
    (one,) = compare_tasks(solved(*right), solved(*right[:25], *[False] * 15), margin=0.05, seed=0)
    assert one.worse
    assert one.only_reference == 15
    assert one.candidate_accuracy == pytest.approx(25 / 40)


def test_kinds_are_compared_apart_and_a_missing_question_is_left_out() -> None:
    both = solved(True, True).replace(
        tasks=(*solved(True, True).tasks, *solved(True, kind="regex").tasks)
    )
    found = compare_tasks(both, both.replace(tasks=both.tasks[1:]), margin=0.05, seed=0)
    assert {c.kind: c.questions for c in found} == {"exact": 1, "regex": 1}


def test_the_interval_covers_the_truth() -> None:
    """Agresti and Min's interval on matched pairs with a known difference."""
    chance = random.Random(1)
    hits = 0
    for _ in range(400):
        outcomes = chance.choices(("lost", "won", "same"), (0.12, 0.04, 0.84), k=80)
        seen = paired_difference(outcomes.count("lost"), outcomes.count("won"), 80)
        hits += seen.low <= -0.08 <= seen.high
    assert hits / 400 >= 0.93


def test_the_exact_test_against_figures_on_paper() -> None:
    assert mcnemar_p(0, 0) == 1
    assert mcnemar_p(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar_p(8, 2) == pytest.approx(2 * (45 + 10 + 1) / 2**10)
    assert mcnemar_p(3, 3) == 1
