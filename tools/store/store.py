"""The store: what a session found out, beside its journal, in one DuckDB file."""

from collections.abc import Sequence

import duckdb
import orjson

from knowledge.types import (
    Hypothesis,
    ProductionTest,
    Profile,
    RequestSample,
    Task,
    TrialResult,
    Verdict,
)
from tools.store import samples as sample_rows
from tools.store.connection import insert, naive, now
from tools.store.evaluations import Evaluations
from tools.store.rows import SessionRecord


class Store(Evaluations):
    """Append-only: where a key is written again, the last row is in force; a trial is never."""

    def put_profile(self, session: str, profile: Profile) -> None:
        with self._transaction() as db:
            insert(
                db,
                "profiles",
                session=session,
                recorded_at=now(),
                bottleneck=profile.bottleneck,
                profile=profile.model_dump_json(),
            )

    def profile(self, session: str) -> Profile | None:
        rows = self._rows(
            "SELECT profile FROM profiles WHERE session = ? ORDER BY row_id DESC LIMIT 1", session
        )
        return Profile.model_validate_json(rows[0][0]) if rows else None

    def put_hypothesis(self, session: str, ordinal: int, hypothesis: Hypothesis) -> None:
        """Write down what trial number `ordinal` will test; a later write for it supersedes."""
        with self._transaction() as db:
            insert(
                db,
                "hypotheses",
                session=session,
                ordinal=ordinal,
                recorded_at=now(),
                technique=hypothesis.technique,
                policy=hypothesis.policy,
                metric=hypothesis.metric.value,
                predicted_low=hypothesis.predicted_speedup.low,
                predicted_high=hypothesis.predicted_speedup.high,
                hypothesis=hypothesis.model_dump_json(),
            )

    def hypotheses(self, session: str) -> tuple[tuple[int, Hypothesis], ...]:
        rows = self._rows(
            "SELECT ordinal, arg_max(hypothesis, row_id) FROM hypotheses"
            " WHERE session = ? GROUP BY ordinal ORDER BY ordinal",
            session,
        )
        return tuple((ordinal, Hypothesis.model_validate_json(text)) for ordinal, text in rows)

    def put_trial(
        self, session: str, result: TrialResult, samples: Sequence[RequestSample] = ()
    ) -> bool:
        """Write a finished trial with its samples, all or nothing. False if it is there already."""
        with self._transaction() as db:
            trial_id = result.trial_id
            if db.execute("SELECT 1 FROM trials WHERE trial_id = ?", [trial_id]).fetchone():
                return False
            insert(
                db,
                "trials",
                trial_id=trial_id,
                session=session,
                ordinal=result.spec.ordinal,
                purpose=result.spec.purpose,
                started_at=naive(result.started_at),
                finished_at=naive(result.finished_at),
                failure=result.failure.cause.value if result.failure else None,
                result=result.model_dump_json(),
            )
            for metric, figure in (
                result.measurement.metrics if result.measurement else {}
            ).items():
                insert(
                    db,
                    "measurements",
                    trial_id=trial_id,
                    metric=metric.value,
                    **figure.model_dump(),
                )
            self._put_samples(db, trial_id, samples)
        return True

    def _put_samples(
        self, db: duckdb.DuckDBPyConnection, trial_id: str, samples: Sequence[RequestSample]
    ) -> None:
        sample_rows.insert(db, trial_id, samples)

    def trial(self, trial_id: str) -> TrialResult | None:
        rows = self._rows("SELECT result FROM trials WHERE trial_id = ?", trial_id)
        return TrialResult.model_validate_json(rows[0][0]) if rows else None

    def trials(self, session: str) -> tuple[TrialResult, ...]:
        rows = self._rows(
            "SELECT result FROM trials WHERE session = ? ORDER BY ordinal, started_at", session
        )
        return tuple(TrialResult.model_validate_json(text) for (text,) in rows)

    def samples(self, trial_id: str) -> tuple[RequestSample, ...]:
        """Every request of a trial, as it was written; empty for an unknown trial."""
        with self._lock:
            return sample_rows.select(self._db, trial_id)

    def put_verdict(self, session: str, verdict: Verdict) -> None:
        """Write what was decided of a trial; a later write for the same trial supersedes."""
        speedup = verdict.speedup
        with self._transaction() as db:
            insert(
                db,
                "verdicts",
                session=session,
                trial_id=verdict.trial_id,
                recorded_at=now(),
                decision=verdict.decision.value,
                speedup=speedup.value if speedup else None,
                speedup_low=speedup.low if speedup else None,
                speedup_high=speedup.high if speedup else None,
                prediction_hit=verdict.prediction_hit,
                verdict=verdict.model_dump_json(),
            )

    def verdicts(self, session: str) -> tuple[Verdict, ...]:
        rows = self._rows(
            "SELECT arg_max(verdict, row_id) FROM verdicts"
            " WHERE session = ? GROUP BY trial_id ORDER BY max(row_id)",
            session,
        )
        return tuple(Verdict.model_validate_json(text) for (text,) in rows)

    def put_production(self, session: str, production: ProductionTest) -> None:
        with self._transaction() as db:
            insert(
                db,
                "productions",
                session=session,
                recorded_at=now(),
                handed_in=production.handed_in,
                production=production.model_dump_json(),
            )

    def production(self, session: str) -> ProductionTest | None:
        rows = self._rows(
            "SELECT production FROM productions WHERE session = ? ORDER BY row_id DESC LIMIT 1",
            session,
        )
        return ProductionTest.model_validate_json(rows[0][0]) if rows else None

    def record(self, session: str) -> SessionRecord:
        """Everything of one session at one moment; BadInput when there is no such session."""
        with self._lock:
            return self._record(session)

    def _record(self, session: str) -> SessionRecord:
        row = self.session(session)
        name = row.session
        task, options = self._rows("SELECT task, options FROM sessions WHERE session = ?", name)[0]
        return SessionRecord(
            row=row,
            task=Task.model_validate_json(task),
            options=orjson.loads(options),
            profile=self.profile(name),
            hypotheses=self.hypotheses(name),
            trials=self.trials(name),
            verdicts=self.verdicts(name),
            production=self.production(name),
            events=self.events(name),
            human=self.evaluation(name),
        )
