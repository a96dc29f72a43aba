"""What was tried and not kept, with the reason."""

import re

from advisor.report import labels
from advisor.report.context import ReportContext, cite, sentence, table
from advisor.report.numbers import DASH, ratio, ratio_interval
from knowledge.types import Decision

ORDER = 80
_FOLDER = re.compile(r"/\S*/(?:site-packages|lib/python3\.\d+)/")


def render(ctx: ReportContext) -> str:
    """One row per hypothesis that did not make it, then the ends of the logs that tell why."""
    rows = [
        [
            cite(trial),
            hypothesis.title,
            ratio_interval(hypothesis.predicted_speedup),
            ratio(verdict.speedup) if verdict.speedup else DASH,
            labels.DECISIONS[verdict.decision],
            sentence(verdict.reason),
        ]
        for trial, hypothesis, verdict in ctx.tested
        if verdict is not None and verdict.decision != Decision.KEPT
    ]
    if not rows:
        return "## Что попробовали и отбросили\n\nОтброшенных гипотез нет."
    head = ["Испытание", "Гипотеза", "Прогноз", "Измерено", "Итог", "Почему"]
    return "\n\n".join(["## Что попробовали и отбросили", table(head, rows), _logs(ctx)]).strip()


def _logs(ctx: ReportContext) -> str:
    parts = []
    for trial in ctx.record.trials:
        if trial.failure is None:
            continue
        tail = "\n".join(_short(line) for line in trial.failure.log_tail[-5:])
        message = trial.failure.message.strip().rstrip(".")
        text = f"{cite(trial)} не измерено ({trial.failure.cause.value}): {message}."
        parts.append(f"{text}\n\n```text\n{tail}\n```" if tail else text)
    return "\n\n".join(parts)


def _short(line: str) -> str:
    """A report is shown to others: where the packages lie on this machine is nobody's business."""
    return _FOLDER.sub("", line)
