"""All that is asked of a served model about its quality: text, answers, tasks."""

from knowledge.statistics import quality_verdict
from knowledge.types import QualityPlan, QualityResult
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality.generation import greedy_answers
from tools.quality.logprobs import score
from tools.quality.tasks import solve


async def assess(
    target: Target,
    plan: QualityPlan,
    tokenizer: Tokenizer | None,
    reference: QualityResult | None = None,
    *,
    seed: int = 0,
) -> QualityResult:
    """Score the held-out text, growing the sample while the comparison with the reference is open.

    Without a reference as much is scored as the plan's time allows: it will be the reference, and
    others score no more than it has. One so slow that the text alone took all the time gives few
    answers: of the engine's default it is enough to know what they are. Raises QualityUnavailable.
    """

    def decided(seen: QualityResult) -> bool:
        if reference is None:
            return False
        if len(seen.chunk_logprobs) >= len(reference.chunk_logprobs):
            return True
        return quality_verdict(reference, seen, plan, seed=seed).outcome != "unknown"

    seen = await score(target, plan, tokenizer, decided)
    brief = reference is None and plan.grow_to is not None and seen.seconds >= plan.grow_s
    if plan.answers:
        seen = seen.replace(answers=await greedy_answers(target, tokenizer, brief=brief))
    asked = plan.replace(answers=plan.answers and not brief)
    return seen.replace(tasks=await solve(target, asked, tokenizer), tasks_sha256=plan.tasks_sha256)
