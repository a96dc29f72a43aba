"""What is known of a served model's answers, and what was concluded from it."""

from typing import Literal

from pydantic import Field

from knowledge.types.base import Estimate, Frozen
from knowledge.types.task import QualityFloor

Choices = tuple[tuple[str, float], ...]
"""The likeliest tokens at one place with their log-probabilities, the likeliest first."""


class QualityPlan(Frozen):
    """Score `chunks` pieces of held-out real text of `chunk_tokens` tokens through the endpoint."""

    chunks: int = Field(default=24, ge=2)
    chunk_tokens: int = Field(default=240, ge=16)
    floor: QualityFloor = QualityFloor()
    grow_to: int | None = None
    """Score more, up to so many pieces, while the comparison is undecided; the reference scores
    as many as `grow_s` allows. None: `chunks` and no more."""
    grow_s: float = Field(default=40.0, gt=0)
    """Nothing is added after so many seconds: a slow machine has other uses for its time. Where
    the sample may grow it may also end early, but not below `least` pieces."""
    least: int = Field(default=8, ge=2)
    top: int = Field(default=4, ge=0)
    """Likeliest tokens asked for at each place, where the engine returns them."""
    answers: bool = True
    """Also ask for a few greedy answers: prompts alone don't show faults of decoding."""
    same_weights: bool = False
    """The change leaves the model alone, so its predictions are to be the same but for rounding;
    else a quantized or compressed checkpoint is judged."""
    tasks_path: str | None = None
    """The user's own questions, asked as well."""
    tasks_sha256: str | None = None
    retrieval_tokens: tuple[int, ...] = ()
    """Lengths at which a fact hidden in real text has to be found."""

    @property
    def most(self) -> int:
        return max(self.chunks, self.grow_to or 0)


class GreedyAnswer(Frozen):
    """The answer to one fixed prompt at temperature 0."""

    prompt_id: str
    chat: bool
    text: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Answers(Frozen):
    """Greedy answers to fixed prompts, and what asking in other ways showed."""

    answers: tuple[GreedyAnswer, ...]
    regret_nats: float | None = None
    """How much less likely a generated token is than the likeliest, when the same text is scored
    as a prompt: 0 where decoding and prefill agree and decoding is greedy."""
    foreign_tokens: float | None = None
    """Share of the tokens of a text that the server splits or numbers otherwise than the model's
    own tokenizer does."""
    echoed: tuple[str, ...] = ()
    """Pairs of prompts that differ but got the same long answer word for word."""
    replayed: bool | None = None
    """Sampling at a high temperature gave the same text twice, as from a cache."""


class TaskAnswer(Frozen):
    """One question of a task set, answered and graded."""

    question_id: str
    kind: str
    passed: bool
    answer: str = ""
    """The beginning of what was said."""
    reason: str = ""


class QualityResult(Frozen):
    """Token log-probabilities of the fixed text, scored by the endpoint that was measured."""

    tokens: int
    mean_logprob: float
    perplexity: float
    chunk_logprobs: tuple[tuple[float, ...], ...]
    """Per chunk, per token, in the order of the text; the pairing with the reference."""
    text_sha256: str
    seconds: float
    chunk_ids: tuple[str, ...] = ()
    """Hash of each chunk's text: what is paired with what."""
    chunk_top: tuple[tuple[Choices, ...], ...] = ()
    """Per chunk, per token: the likeliest tokens there. Empty where the engine gives none."""
    answers: Answers | None = None
    tasks: tuple[TaskAnswer, ...] = ()
    tasks_sha256: str | None = None


class TaskComparison(Frozen):
    """The same questions answered by both, paired."""

    kind: str
    questions: int
    reference_accuracy: float
    candidate_accuracy: float
    only_reference: int
    """Questions that only the reference got right; the discordant pairs decide."""
    only_candidate: int
    difference: Estimate
    """Candidate minus reference: below 0 is worse."""
    margin: float
    non_inferior: bool
    worse: bool


class QualityVerdict(Frozen):
    """Non-inferiority against the default on the same text."""

    non_inferior: bool
    loss_nats_per_token: Estimate
    """Reference minus candidate: above 0 is worse."""
    margin: float
    flips: Estimate | None = None
    """Share of places where another token is the likeliest."""
    kl_nats: Estimate | None = None
    """Mean divergence from the reference over the likeliest tokens, a lower bound of the whole."""
    same_prefix: float | None = None
    """Mean share of a greedy answer before it differs from the reference's."""
    worst_chunk_nats: float | None = None
    """Loss of the piece of text that lost most."""
    power: float | None = None
    """Chance that a candidate which loses nothing would have been shown so with this sample."""
    decided: bool = True
    """False: the sample was exhausted and the interval still holds the margin."""
    findings: tuple[str, ...] = ()
    """Russian: what else stands against the candidate, each enough by itself."""
    tasks: tuple[TaskComparison, ...] = ()

    @property
    def outcome(self) -> Literal["non-inferior", "worse", "unknown"]:
        if self.non_inferior:
            return "non-inferior"
        return "worse" if self.decided else "unknown"
