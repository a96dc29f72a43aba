"""Human evaluations: pairs of answers, and what raters said of them."""

import hashlib
import hmac
import secrets
from datetime import UTC

from knowledge.types import AnswerPair, HumanEvaluation, HumanVote, Side
from tools.store.connection import insert, naive, now
from tools.store.journal import Journal


class Evaluations(Journal):
    """The tables evaluations, answer_pairs and human_votes."""

    def put_evaluation(self, session: str, made: HumanEvaluation) -> None:
        """Write an evaluation with its pairs, all or nothing; from now on it is the session's."""
        with self._transaction() as db:
            insert(
                db,
                "evaluations",
                evaluation=made.evaluation,
                session=session,
                recorded_at=now(),
                baseline_trial_id=made.baseline_trial_id,
                candidate_trial_id=made.candidate_trial_id,
                decoding=made.decoding,
                secret=secrets.token_hex(16),
            )
            for position, pair in enumerate(made.pairs):
                insert(db, "answer_pairs", evaluation=made.evaluation, position=position,
                       **pair.model_dump())  # fmt: skip

    def put_vote(self, evaluation: str, vote: HumanVote) -> None:
        """Write a vote; a later one of the same rater on the same pair supersedes it."""
        with self._transaction() as db:
            insert(
                db,
                "human_votes",
                evaluation=evaluation,
                pair=vote.pair,
                rater=vote.rater,
                choice=vote.choice,
                shown_left=vote.left,
                recorded_at=naive(vote.at),
            )

    def evaluation(self, session: str) -> HumanEvaluation | None:
        """The session's last evaluation with the votes in force."""
        with self._lock:
            rows = self._rows(
                "SELECT evaluation, baseline_trial_id, candidate_trial_id, decoding"
                " FROM evaluations WHERE session = ? ORDER BY row_id DESC LIMIT 1",
                session,
            )
            if not rows:
                return None
            name, baseline, candidate, decoding = rows[0]
            return HumanEvaluation(
                evaluation=name,
                baseline_trial_id=baseline,
                candidate_trial_id=candidate,
                decoding=decoding,
                pairs=self._pairs(name),
                votes=self._votes(name),
            )

    def evaluated(self) -> tuple[tuple[str, int, int], ...]:
        """(session, pairs, votes) of every session that has an evaluation, the newest first."""
        rows = self._rows(
            "SELECT session, max(row_id) AS newest, arg_max(evaluation, row_id)"
            " FROM evaluations GROUP BY session ORDER BY newest DESC"
        )
        return tuple(
            (session, len(self._pairs(name)), len(self._votes(name))) for session, _, name in rows
        )

    def left_side(self, evaluation: str, pair: str, rater: str) -> Side:
        """Which answer this rater sees on the left: random, and the same on every visit."""
        rows = self._rows("SELECT secret FROM evaluations WHERE evaluation = ?", evaluation)
        key = str(rows[0][0]).encode()
        coin = hmac.new(key, f"{pair}\n{rater}".encode(), hashlib.sha256).digest()[0] & 1
        return "baseline" if coin else "candidate"

    def _pairs(self, evaluation: str) -> tuple[AnswerPair, ...]:
        rows = self._rows(
            "SELECT pair, prompt, baseline, candidate FROM answer_pairs"
            " WHERE evaluation = ? ORDER BY position",
            evaluation,
        )
        names = ("pair", "prompt", "baseline", "candidate")
        return tuple(AnswerPair(**dict(zip(names, row, strict=True))) for row in rows)

    def _votes(self, evaluation: str) -> tuple[HumanVote, ...]:
        rows = self._rows(
            "SELECT pair, rater, arg_max(choice, row_id), arg_max(shown_left, row_id),"
            " max(recorded_at) FROM human_votes WHERE evaluation = ?"
            " GROUP BY pair, rater ORDER BY max(row_id)",
            evaluation,
        )
        return tuple(
            HumanVote(pair=pair, rater=rater, choice=choice, left=left, at=at.replace(tzinfo=UTC))
            for pair, rater, choice, left, at in rows
        )
