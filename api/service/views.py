"""From the rows of the store and the queue to what the API shows."""

from collections.abc import Sequence
from datetime import datetime

from advisor.report.summary import summary
from api.schemas import Links, SessionDetail, SessionState, SessionView, TrialView
from api.service.jobs import Job
from knowledge.types import TrialResult
from tools.store import SessionRecord, SessionRow, Status

_TITLES = {
    "naive": "Наивный эталон: transformers по одному запросу",
    "baseline": "Настройки движка по умолчанию",
    "repeat": "Повтор лучшего перед сдачей",
    "production": "Запуск с нуля для сдачи",
}


_ENDED: dict[Status, SessionState] = {
    Status.DONE: "done",
    Status.INFEASIBLE: "infeasible",
    Status.CANCELLED: "cancelled",
    Status.FAILED: "failed",
}


def state_of(row: SessionRow, job: Job | None) -> SessionState:
    """The queue knows what is going on, the store how it ended."""
    if job and job.state != "ended":
        return job.state
    if row.status in (Status.CREATED, Status.RUNNING):
        return "interrupted"
    return _ENDED[row.status]


def session_view(row: SessionRow, job: Job | None, waiting: Sequence[str]) -> SessionView:
    """One line of the list."""
    name = row.session
    base = f"/v1/sessions/{name}"
    return SessionView(
        id=name,
        state=state_of(row, job),
        position=waiting.index(name) + 1 if name in waiting else None,
        created_at=row.created_at,
        started_at=_at(job.started_at) if job else None,
        ended_at=_at(job.ended_at) if job else None,
        model=row.model,
        engine=row.engine,
        workload=row.workload,
        objective=row.objective,
        origin=job.origin if job else "cli",
        error=job.error if job else None,
        links=Links(
            self=base,
            events=f"{base}/events",
            trials=f"{base}/trials",
            report=f"{base}/report",
        ),
    )


def session_detail(view: SessionView, record: SessionRecord, report_ready: bool) -> SessionDetail:
    """The line with what the record holds."""
    measured = any(trial.measurement for trial in record.trials)
    return SessionDetail(
        **view.model_dump(),
        trials=len(record.trials),
        last_event=record.events[-1].seq if record.events else 0,
        budget_s=record.task.budget.seconds,
        profile=record.profile,
        summary=summary(record) if measured else None,
        report_ready=report_ready,
    )


def trial_views(record: SessionRecord) -> list[TrialView]:
    """Every finished trial beside what was expected of it and what was decided."""
    hypotheses = dict(record.hypotheses)
    verdicts = {verdict.trial_id: verdict for verdict in record.verdicts}
    found = []
    for trial in record.trials:
        hypothesis = hypotheses.get(trial.spec.ordinal)
        if trial.spec.purpose != "hypothesis":
            hypothesis = None
        verdict = verdicts.get(trial.trial_id)
        candidate = trial.spec.candidate
        found.append(
            TrialView(
                id=trial.trial_id,
                ordinal=trial.spec.ordinal,
                purpose=trial.spec.purpose,
                title=hypothesis.title if hypothesis else _TITLES.get(trial.spec.purpose, ""),
                flags=candidate.config.flags,
                env=candidate.config.env,
                artifact=candidate.artifact.scheme if candidate.artifact else None,
                started_at=trial.started_at,
                seconds=trial.seconds,
                metrics=_metrics(trial),
                perplexity=trial.quality.perplexity if trial.quality else None,
                failure=_failure(trial),
                predicted_speedup=hypothesis.predicted_speedup if hypothesis else None,
                speedup=verdict.speedup if verdict else None,
                decision=verdict.decision.value if verdict else None,
                reason=verdict.reason if verdict else None,
                slos_met=verdict.slos_met if verdict else None,
            )
        )
    return found


def _metrics(trial: TrialResult) -> dict[str, object]:
    measured = trial.measurement
    return {m.value: estimate for m, estimate in measured.metrics.items()} if measured else {}


def _failure(trial: TrialResult) -> str | None:
    return f"{trial.failure.cause.value}: {trial.failure.message}" if trial.failure else None


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
