"""The quality gate: one verdict from text scored, answers given and tasks solved."""

from knowledge.statistics.answers import answer_findings, same_prefix
from knowledge.statistics.fidelity import QUANTIZED, SAME_WEIGHTS, compare_quality
from knowledge.statistics.tasks import compare_tasks
from knowledge.types import QualityPlan, QualityResult, QualityVerdict


def quality_verdict(
    reference: QualityResult, candidate: QualityResult, plan: QualityPlan, *, seed: int
) -> QualityVerdict:
    """Against the engine's default. Raises ValueError when they scored different texts."""
    limits = SAME_WEIGHTS if plan.same_weights else QUANTIZED
    verdict = compare_quality(
        reference,
        candidate,
        margin=plan.floor.margin_nats_per_token,
        limits=limits,
        seed=seed,
        looks=-(-plan.most // plan.chunks),
    )
    findings = list(verdict.findings)
    share = None
    if reference.answers and candidate.answers:
        share = same_prefix(reference.answers, candidate.answers)
        findings += answer_findings(reference.answers, candidate.answers, limits.least_prefix)
    tasks = compare_tasks(reference, candidate, margin=plan.floor.accuracy_margin, seed=seed)
    findings += [
        f"задачи «{one.kind}»: верно {one.candidate_accuracy:.0%} вместо "
        f"{one.reference_accuracy:.0%} при допуске {one.margin:.0%}"
        for one in tasks
        if one.worse
    ]
    # Too few questions to tell stand in the report; they neither pass nor fail by themselves.
    return verdict.replace(
        non_inferior=verdict.non_inferior and not findings,
        decided=verdict.decided or bool(findings),
        findings=tuple(findings),
        same_prefix=share,
        tasks=tasks,
    )
