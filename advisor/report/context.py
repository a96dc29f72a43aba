"""What every section and figure is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor import outcome
from advisor.report import labels, numbers
from knowledge.statistics.compare import ratio_of_estimates
from knowledge.types import (
    Estimate,
    Hypothesis,
    Metric,
    RequestSample,
    TrialResult,
    Verdict,
)
from tools.store import SessionRecord

_SPELLED_SO = ("vLLM", "llama.cpp", "llm-compressor", "torch")
"""Names that keep their small letter at the start of a sentence."""
SampleSource = Callable[[str], Sequence[RequestSample]]


@dataclass(frozen=True)
class ReportContext:
    """A record, its samples, and where the pictures go."""

    record: SessionRecord
    samples: SampleSource
    pictures: Path

    @property
    def objective(self) -> Metric:
        return self.record.task.objective.metric

    @property
    def simulated(self) -> bool:
        return self.record.options.get("simulated") is True

    @property
    def engine(self) -> str:
        return labels.engine(self.record.task.engine)

    def setting(self, trial: TrialResult) -> str:
        """What was changed in this trial, on one line."""
        return outcome.describe(trial.spec.candidate, self.record.task.engine)

    @property
    def naive(self) -> TrialResult | None:
        return outcome.naive(self.record)

    @property
    def default(self) -> TrialResult | None:
        return outcome.default(self.record)

    @property
    def winner(self) -> TrialResult | None:
        return outcome.winner(self.record)

    @property
    def handed_in(self) -> TrialResult | None:
        return outcome.handed_in(self.record)

    @property
    def best(self) -> TrialResult | None:
        """What to speak of as the result: the handed in, else the best that is known."""
        return self.handed_in or self.winner or self.default

    @property
    def tested(self) -> tuple[tuple[TrialResult, Hypothesis, Verdict | None], ...]:
        """Every hypothesis whose trial was run, in order."""
        trials = {t.spec.ordinal: t for t in self.record.trials if t.spec.purpose == "hypothesis"}
        return tuple(
            (trials[ordinal], hypothesis, self.verdict(trials[ordinal].trial_id))
            for ordinal, hypothesis in self.record.hypotheses
            if ordinal in trials
        )

    @property
    def launch_cv(self) -> float:
        """Relative spread from launch to launch, as the session reckoned with it."""
        for event in reversed(self.record.events):
            value = event.payload.get("launch_cv")
            if isinstance(value, int | float):
                return float(value)
        return 0.0

    @property
    def launch_repeats(self) -> int:
        """Repeated launches on this machine that told of it; 0: it was assumed."""
        for event in reversed(self.record.events):
            value = event.payload.get("launch_repeats")
            if isinstance(value, int):
                return value
        return 0

    def verdict(self, trial_id: str) -> Verdict | None:
        return next((v for v in self.record.verdicts if v.trial_id == trial_id), None)

    def trial(self, trial_id: str) -> TrialResult | None:
        return outcome.by_id(self.record, trial_id)

    def improvement(
        self, reference: TrialResult, candidate: TrialResult, metric: Metric
    ) -> Estimate | None:
        """How many times better `candidate` is by `metric`; None where a ratio means nothing.

        For the objective of the production pair it is the test's own figure, which the paired
        rounds make sharper than two separate intervals can be.
        """
        test = self.record.production
        pair = (reference.trial_id, candidate.trial_id)
        tested = test is not None and pair == (test.default_trial_id, test.winner_trial_id)
        if test and tested and test.speedup.n and metric == self.objective:
            return test.speedup
        before, after = figure(reference, metric), figure(candidate, metric)
        if before is None or after is None or min(before.low, after.low) <= 0:
            return None
        return ratio_of_estimates(
            before, after, higher_is_better=metric.higher_is_better, launch_cv=self.launch_cv
        )


def figure(trial: TrialResult | None, metric: Metric) -> Estimate | None:
    """The measured figure, or None for a trial that failed or never had it."""
    if trial is None or trial.measurement is None:
        return None
    return trial.measurement.metrics.get(metric)


def cite(trial: TrialResult | None) -> str:
    """The trial's id as the report writes it."""
    return f"`{trial.trial_id}`" if trial else numbers.DASH


def cell(trial: TrialResult | None, metric: Metric) -> str:
    """A table cell: value, interval and unit; a dash when it was not measured."""
    found = figure(trial, metric)
    if found is None:
        return numbers.DASH
    if metric == Metric.ERROR_RATE:
        return numbers.percent(found.value)
    return numbers.estimate(found, labels.unit(metric))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures or text, left-aligned."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_escape(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def sentence(text: str) -> str:
    """A remark from the store as a sentence: a capital at its start, a full stop at its end."""
    text = text.strip()
    if not text:
        return ""
    first = text[0] if text.startswith(_SPELLED_SO) else text[0].upper()
    return first + text[1:] + ("" if text[-1] in ".!?…" else ".")


def _escape(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split("\n"))
