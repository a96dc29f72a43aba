"""Every policy through ask and tell: it stays in the space, repeats nothing, and learns."""

import math
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from advisor.policies import load, names, require
from advisor.policies.portfolio import BLIND
from advisor.policy.costs import costs_of
from advisor.policy.loop import AskTell
from advisor.policy.points import nearest
from advisor.policy.pruning import failures_of
from advisor.policy.space import Knob, Space, candidate_of, settings_of, space_of
from advisor.policy.surrogate import Point, Prior, Surrogate, coding_of
from bench.search.handin import surface_of
from bench.search.replay import replay
from bench.search.spaces import FAMILIES, draw
from knowledge.errors import BadInput
from knowledge.types import Candidate, Cause, Change, EngineConfig, Failure, Metric, Slo

_BY_SPACE = [name for name in names() if name not in ("llm", "smac")]


@pytest.mark.parametrize("module", ["policies", "policies.portfolio", "policy", "dry_run"])
def test_each_module_can_be_the_first_that_is_imported(module):
    command = [sys.executable, "-c", f"import advisor.{module}"]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.parametrize("name", _BY_SPACE)
def test_a_policy_proposes_new_members_of_the_space(name):
    surface, rng, launched = surface_of(0), random.Random(0), set()
    loop = AskTell(surface.task, load(name), surface.catalog, surface.profile, space=surface.space)
    loop.tell(None, surface.measure(surface.task.default, 0, rng, launched))
    seen = {surface.task.default}
    for ordinal in range(1, 7):
        hypothesis = loop.ask()
        if hypothesis is None:
            assert name == "knowledge"
            break
        assert hypothesis.candidate in surface.rows
        assert hypothesis.candidate not in seen
        assert hypothesis.predicted_speedup.low < hypothesis.predicted_speedup.high
        seen.add(hypothesis.candidate)
        loop.tell(hypothesis, surface.measure(hypothesis.candidate, ordinal, rng, launched))


def _listed(keep: int):
    """A surface of which only some members exist, drawn at random, the default among them."""
    surface = surface_of(0)
    drawn = random.Random(1).sample(sorted(surface.rows, key=lambda one: one.content_id()), keep)
    members = frozenset({surface.task.default, *drawn})
    surface.space = Space(surface.space.knobs, members)
    return surface


def test_an_optimizer_that_does_not_know_the_list_ends_only_with_it():
    surface = _listed(11)
    run = replay(surface, "search", load("search"), 0, 40)
    assert len(run.best) == len(surface.space.members) - 1
    assert nearest(_view_after(surface), list(surface.space.knobs), {}) is not None
    surface.space = Space(surface.space.knobs)
    assert nearest(_view_after(surface), list(surface.space.knobs), {}) is None


def _view_after(surface):
    loop = AskTell(surface.task, load("search"), surface.catalog, None, space=surface.space)
    loop.tell(None, surface.measure(surface.task.default, 0, random.Random(0), set()))
    return loop.view()


def test_another_seed_is_another_search_and_not_the_same_one_shifted():
    courses = []
    for seed in (0, 1):
        surface, rng, launched = surface_of(0), random.Random(0), set()
        task = surface.task.replace(seed=seed)
        loop = AskTell(task, load("search"), surface.catalog, surface.profile, space=surface.space)
        loop.tell(None, surface.measure(task.default, 0, rng, launched))
        asked = []
        for ordinal in range(1, 6):
            asked.append(loop.ask())
            result = surface.measure(asked[-1].candidate, ordinal, rng, launched)
            loop.tell(asked[-1], result)
        courses.append([one.candidate for one in asked])
    assert courses[0] != courses[1]
    assert courses[0][1:] != courses[1][:-1]


def test_the_same_history_gives_the_same_proposal():
    surface = draw(FAMILIES[0], 3)
    runs = [replay(surface, "a", load("portfolio"), 3, 5) for _ in range(2)]
    assert runs[0].best == runs[1].best


def test_without_the_cards_the_model_beats_random_points():
    surface = surface_of(1)
    ours = replay(surface, "blind", BLIND, 1, 16)
    theirs = replay(surface, "random", load("random"), 1, 16)
    assert sum(ours.best) > sum(theirs.best)
    assert ours.best[-1] >= surface.best - 0.03


def test_a_card_against_what_is_fixed_is_left_out_and_ends_no_session():
    surface, rng, launched = surface_of(0), random.Random(0), set()
    loop = AskTell(surface.task, load("portfolio"), surface.catalog, surface.profile)
    loop.tell(None, surface.measure(surface.task.default, 0, rng, launched))
    hypothesis = loop.ask()
    loop.tell(hypothesis, surface.measure(hypothesis.candidate, 1, rng, launched))
    one = '{"num_speculative_tokens": 1}'
    view = replace(loop.view(), fixed=Change(flags={"speculative-config": one}))
    found = [h for h in loop.policy.ask(view) if h.policy == "gp"]
    assert found
    assert {h.candidate.config.flags["speculative-config"] for h in found} == {one}


def test_an_unknown_policy_is_named():
    with pytest.raises(BadInput, match="portfolio"):
        load("oracle")


def test_a_policy_without_its_package_is_refused_before_anything_runs(monkeypatch):
    require("portfolio")
    monkeypatch.setattr("advisor.policies.smac.find_spec", lambda _: None)
    with pytest.raises(BadInput, match="пакет smac"):
        require("smac")
    with pytest.raises(BadInput, match="portfolio"):
        require("oracle")


def test_two_failures_rule_out_what_they_share_and_larger_values_of_it():
    surface, rng, launched = surface_of(0), random.Random(0), set()
    fine = surface.measure(_sim({"max-num-seqs": 8}), 1, rng, launched)
    dead = [
        _failed(surface.measure(_sim(flags), k, rng, launched))
        for k, flags in enumerate(
            ({"max-num-seqs": 12, "dtype": "float16"}, {"max-num-seqs": 12, "enforce-eager": True})
        )
    ]
    one = failures_of([fine, dead[0]])
    assert not one.rule_out({"max-num-seqs": 12})
    assert one.chance_to_live({"max-num-seqs": 12}) < one.chance_to_live({"max-num-seqs": 8})
    alone = failures_of([fine, _failed(surface.measure(_sim({"max-num-seqs": 12}), 5, rng, set()))])
    assert alone.rule_out({"max-num-seqs": 32})
    assert not alone.rule_out({"max-num-seqs": 8})


def test_a_warm_start_is_cheaper_than_a_cold_one():
    surface, rng, launched = surface_of(0), random.Random(0), set()
    trials = [
        surface.measure(_sim(flags), k, rng, launched)
        for k, flags in enumerate(({}, {"max-num-seqs": 8}, {"dtype": "bfloat16"}))
    ]
    costs = costs_of(trials, surface.space.knobs, 60)
    warm, cold = costs.of(_sim({"max-num-seqs": 32})), costs.of(_sim({"dtype": "float16"}))
    assert warm == surface.warm_s + surface.load_s
    assert cold == surface.cold_s + surface.load_s


def test_cards_that_measurements_contradict_lose_their_trust():
    card = Prior({"a": 1}, 0.4, 0.05)
    rows = [{"a": a, "b": b, "c": c} for a in (None, 1) for b in (None, 1) for c in (None, 1)]
    points = [Point(row, -0.3 if row["a"] else 0.0, 0.01) for row in rows]
    coding = coding_of(rows, [card])
    assert Surrogate(coding, points).shape.trust == 0.0
    agreeing = [Point(row, 0.4 if row["a"] else 0.0, 0.01) for row in rows]
    assert Surrogate(coding, agreeing).shape.trust == 1.0


def test_true_and_one_are_different_levels():
    coding = coding_of([{"a": True}, {"a": 1}])
    codes, _ = coding.encode([{"a": True}, {"a": 1}, {}])
    assert len({int(code) for code in codes[:, 0]}) == 3


def test_a_knob_may_be_a_variable_or_an_artifact():
    assert Knob(flag="$X", choices=(None, "1")).kind == "env"
    assert candidate_of("vllm", {"$X": "1"}).config.env == {"X": "1"}


@pytest.mark.parametrize(
    ("slos", "choices"),
    [(("ttft",), (None, 64)), (("tpot",), (None, 8, 16, 64)), ((), (None, 8, 16, 64))],
)
def test_fewer_places_than_streams_are_no_choice_under_a_limit_of_ttft(slos, choices):
    facts = {"workload": {"concurrency": 64}, "objective": "throughput", "slos": frozenset(slos)}
    space = space_of("vllm", ("max-num-seqs",), facts)
    assert [knob.choices for knob in space.knobs] == [choices]


def _sim(flags) -> Candidate:
    return Candidate(config=EngineConfig(engine="sim", flags=flags))


def _failed(trial):
    failure = Failure(cause=Cause.OUT_OF_MEMORY, message="")
    return trial.replace(failure=failure, measurement=None)


@pytest.mark.parametrize("name", ["gp", "portfolio"])
def test_where_the_default_breaks_an_slo_what_holds_it_is_looked_for_first(name):
    """The setting that holds it does nothing for the objective, so the objective can't show it."""
    surface = surface_of(0)
    holds = np.array([settings_of(one).get("max-num-seqs") == 32 for one in surface.rows])
    surface.metrics = {
        Metric.OUTPUT_TOKENS_PER_S: surface.metrics[Metric.OUTPUT_TOKENS_PER_S],
        Metric.TTFT_P95_MS: np.where(holds, 400.0, 600.0),
    }
    surface.task = surface.task.replace(slos=(Slo(metric=Metric.TTFT_P95_MS, limit=500),))
    rates = surface.metrics[Metric.OUTPUT_TOKENS_PER_S]
    run = replay(surface, name, load(name), 0, 14)
    found = [k for k, best in enumerate(run.best) if best > -math.inf]
    assert found
    # By chance: a row in four holds it.
    assert found[0] <= 8
    best = float(np.log(rates[holds].max() / rates[surface.rows[surface.task.default]]))
    assert run.best[-1] > best - 0.1
