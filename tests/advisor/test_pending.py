"""Whose round may end early: only who has nothing to win but speed."""

from types import SimpleNamespace

import pytest

from advisor.context import Pace, figure
from advisor.nodes._pending import pending
from knowledge.types import Slo
from tests.advisor.report import examples as ex


@pytest.mark.parametrize(("share", "bar"), [(None, True), (2.0, True), (0.5, False)])
def test_who_may_come_nearer_to_an_slo_is_measured_whole(share, bar):
    """`share`: the SLO's limit over what the reference has."""
    ordinal, hypothesis = ex.RECORD.hypotheses[0]
    reference = next(t for t in ex.RECORD.trials if t.spec.purpose == "baseline")
    slos = ()
    if share is not None:
        seen = figure(reference, hypothesis.metric)
        limit = seen.value / share if hypothesis.metric.higher_is_better else seen.value * share
        slos = (Slo(metric=hypothesis.metric, limit=limit),)
    store = SimpleNamespace(hypotheses=lambda _: [(ordinal, hypothesis)], trial=lambda _: reference)
    ctx = SimpleNamespace(
        store=store, session="s", task=ex.TASK.replace(slos=slos), pace=Pace(),
        spec=lambda *_, **named: named,
    )  # fmt: skip
    _, asked = pending({"ordinal": ordinal, "reference": "t"}, ctx)
    assert (asked["worth_checking"] is not None) == bar
