"""What to try next: policies behind one interface, and how they share the trials."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from advisor import approval
from advisor.calibration import calibrate
from advisor.context import Context, figure
from advisor.pace import production_of
from advisor.policies import load
from advisor.policy.advice import advice_of
from advisor.policy.base import View
from advisor.policy.facts import facts_of
from advisor.policy.transfer import past_of
from advisor.state import State
from knowledge.cards import QUICK_START, load_cards
from knowledge.errors import BadInput
from knowledge.measure.requests import fitting_round_s
from knowledge.statistics import ratio_of_estimates
from knowledge.types import Candidate, Change, Hypothesis, Interval, TrialResult
from tools import calibration, engines

FINALIST = "finalist"
SEARCH = "search"
"""The technique of every point that a policy found without a card."""
QUICK_START_PAYS_FROM_S = 45.0
"""A full start slower than this costs a session more trials than it is worth."""
_FRUITLESS_SEARCHES = 8
_LATER_START = 0.6
"""The first start fills the caches: 215 s, then 100 to 125 s on an H100; 150 s, then 35 to 75 s on
two cores (2026-11-23)."""
_CONFIDENCE = 1.5
"""A finalist's start differs from the ones it was screened with: half as wide again."""


def ask(ctx: Context, state: State, *, exhausted: str = "") -> tuple[Hypothesis | None, str]:
    """(hypothesis, "") or (None, why the search ends). `exhausted`: the budget says stop."""
    reason = exhausted or _plateau(ctx)
    if not reason:
        if proposed := load(ctx.task.policy).ask(view_of(ctx, state)):
            return _first(proposed, ctx, state), ""
        reason = "ни одна гипотеза больше не обещает достаточного выигрыша"
    if in_turns(ctx):  # the cold test itself measures the combination, and in turns
        return None, reason
    return (chosen, "") if (chosen := finalist(ctx, state)) else (None, reason)


def ask_beside(ctx: Context, state: State, first: Hypothesis, most: int) -> list[Hypothesis]:
    """Up to `most` more to be measured at the same time as `first`: each is asked for with those
    before it pending. None beside what must be compared, made or approved before the others."""
    found = [first]
    if not _alone(ctx, first):
        policy, view = load(ctx.task.policy), view_of(ctx, state)
        while len(found) <= most:
            known = replace(view, pending=tuple(one.candidate for one in found))
            more = next((one for one in policy.ask(known) if not _alone(ctx, one)), None)
            if more is None:
                break
            found.append(more)
    return found[1:]


def _alone(ctx: Context, hypothesis: Hypothesis) -> bool:
    change = hypothesis.change
    return (
        change.engine is not None
        or change.artifact is not None
        or hypothesis.policy == FINALIST
        or is_quick_start(hypothesis)
        or approval.expensive(ctx, hypothesis, "") is not None
    )


def in_turns(ctx: Context) -> bool:
    """Two servers fit beside each other, so the cold test compares them round by round."""
    names = (ctx.task.engine, *ctx.task.engines)
    hardware = ctx.world.hardware
    return all(engines.load(name).capabilities(hardware).sides_by_side for name in names)


def _first(proposed: Sequence[Hypothesis], ctx: Context, state: State) -> Hypothesis:
    """The best one; but a quick start goes first where a full start would eat the budget."""
    slow = ctx.store.trial(state["incumbent"])
    if proposed[0].change.engine:  # engines are compared as they come, with their full start
        return proposed[0]
    if (
        not state["screening"]
        and slow
        and slow.launch
        and slow.launch.ready_s >= QUICK_START_PAYS_FROM_S
    ):
        affordable = remaining_s(state, ctx) / max(slow.seconds, 1.0)
        quick = next((h for h in proposed if is_quick_start(h)), None)
        if quick and affordable >= 3:
            return quick
    return proposed[0]


def is_quick_start(hypothesis: Hypothesis) -> bool:
    """Whether its technique makes the engine start faster, whatever it does to the speed."""
    return any(
        card.name == hypothesis.technique and QUICK_START in card.topics for card in load_cards()
    )


def remaining_s(state: State, ctx: Context) -> float:
    """Budget left for the search once the finalist and the production test are set aside."""
    trials = ctx.store.trials(ctx.session)
    default = next(t for t in trials if t.spec.purpose == "baseline")
    production_s = launches_s(ctx)
    scored = [t.quality.seconds for t in _searched(ctx) if t.quality]
    production_s += max(20.0, median(scored[-3:])) if scored else 20.0
    if ctx.task.slos:
        search = ctx.pace.load_search
        production_s += search.points * (search.round_s + ctx.pace.drain_s)
    finalist_s = default.seconds if state["screening"] and not in_turns(ctx) else 0.0
    return ctx.task.budget.seconds - state["spent_s"] - production_s - finalist_s


def launches_s(ctx: Context) -> float:
    """What it takes to launch default and winner from cold and to measure them, nothing else."""
    own = [t.launch.ready_s for t in _searched(ctx) if t.launch]
    ready_s = median(own[-3:]) if own else 0.0
    if len(own) == 1:
        ready_s *= _LATER_START
    plan, drain_s = production_of(ctx)
    round_s = fitting_round_s(plan.round_s, drain_s)
    rounds_s = plan.rounds * (2 * round_s + drain_s + ctx.pace.drain_s)
    return 1.6 * ready_s + 2 * plan.warmup_s + drain_s + rounds_s


def _searched(ctx: Context) -> list[TrialResult]:
    """Those of the search: a cold test that is resumed is planned as it was at first."""
    trials = ctx.store.trials(ctx.session)
    return [t for t in trials if t.spec.purpose not in ("naive", "production")]


def view_of(ctx: Context, state: State) -> View:
    """The session as policies see it."""
    assert ctx.catalog
    trials = ctx.store.trials(ctx.session)
    by_id = {h.content_id(): h for _, h in ctx.store.hypotheses(ctx.session)}
    tested = [(by_id[v.hypothesis], v) for v in ctx.store.verdicts(ctx.session)]
    reference = ctx.store.trial(state["reference"])
    assert reference
    profile = ctx.store.profile(ctx.session)
    own = [t for t in trials if t.spec.purpose != "naive"]
    catalog = ctx.catalogs.get(reference.spec.candidate.config.engine, ctx.catalog)
    recent = [t.seconds for t in own if t.measurement][-3:]
    return View(
        base=reference.spec.candidate,
        metric=ctx.metric,
        slos=ctx.task.slos,
        facts=facts_of(ctx.task, reference.spec.candidate, catalog, profile)
        | {"calibration": _own_text(ctx)},
        regime=profile.regime if profile else "decode",
        catalog=catalog,
        trials=own,
        tested=tested,
        calibration=calibrate(tested),
        trial_s=median(recent) if recent else 60.0,
        seed=ctx.task.seed,
        task=ctx.task,
        launch_cv=ctx.pace.launch_cv,
        fixed=_fixed(ctx, state),
        past=past_of(ctx),
        advice=advice_of(ctx),
        fits=_room(ctx),
    )


def _own_text(ctx: Context) -> str | None:
    """The hash of the user's requests, kept for calibration; None where they have no text."""
    if ctx.task.workload.trace_path is None:
        return None
    try:
        return calibration.keep(Path(ctx.task.workload.trace_path), ctx.world.home)
    except BadInput:
        return None


def _fixed(ctx: Context, state: State) -> Change:
    """While screening, the quick start that all hypotheses have in common."""
    if not state["screening"]:
        return Change()
    hypotheses = [h for _, h in ctx.store.hypotheses(ctx.session)]
    return next((h.change for h in hypotheses if is_quick_start(h)), Change())


def _room(ctx: Context) -> Callable[[Candidate], bool]:
    """Whether the device could hold it, whatever else is on it now."""
    hardware, model = ctx.world.hardware, ctx.task.model
    most = hardware.device.memory_bytes

    def fits(candidate: Candidate) -> bool:
        engine = engines.load(candidate.config.engine)
        return engine.memory_needed_bytes(candidate.config, model, hardware) <= most

    return fits


def _plateau(ctx: Context) -> str:
    """The last searches brought nothing."""
    verdicts = ctx.store.verdicts(ctx.session)
    by_id = {h.content_id(): h for _, h in ctx.store.hypotheses(ctx.session)}
    last = [
        by_id[v.hypothesis].technique == SEARCH and v.decision != "kept"
        for v in verdicts
        if v.hypothesis in by_id
    ]
    if len(last) >= _FRUITLESS_SEARCHES and all(last[-_FRUITLESS_SEARCHES:]):
        return f"плато: {_FRUITLESS_SEARCHES} точек поиска подряд без выигрыша"
    return ""


def finalist(ctx: Context, state: State) -> Hypothesis | None:
    """What was kept with quick starts, now with the engine's full start, against the incumbent."""
    if not (state["screening"] and state["kept"]):
        return None
    best, default = ctx.store.trial(state["reference"]), ctx.store.trial(state["incumbent"])
    hypotheses = dict(ctx.store.hypotheses(ctx.session))
    quick = next((h for h in hypotheses.values() if is_quick_start(h)), None)
    assert best
    assert default
    assert quick
    undo = Change(flags=dict.fromkeys(quick.change.flags), env=dict.fromkeys(quick.change.env))
    titles = [hypotheses[ordinal].title for ordinal in state["kept"]]
    return Hypothesis(
        technique="combination",
        policy=FINALIST,
        title="Сочетание: " + " + ".join(titles),
        rationale="Изменения, отобранные при быстром запуске, вместе и с полным запуском движка.",
        change=undo,
        candidate=best.spec.candidate.apply(undo),
        parent=default.spec.candidate.content_id(),
        metric=ctx.metric,
        predicted_speedup=_from_screening(ctx, quick, best),
        evidence=tuple(f"испытание t{ordinal:02d}" for ordinal in state["kept"]),
        cost_s=default.seconds,
        quality_risk="low",
    )


def _from_screening(ctx: Context, quick: Hypothesis, best: TrialResult) -> Interval:
    """The gain measured between quick starts, carried over to full ones."""
    base = next(t for t in ctx.store.trials(ctx.session) if t.spec.candidate == quick.candidate)
    theirs, ours = figure(base, ctx.metric), figure(best, ctx.metric)
    assert theirs
    assert ours
    seen = ratio_of_estimates(
        theirs, ours, higher_is_better=ctx.metric.higher_is_better, launch_cv=ctx.pace.launch_cv
    )
    below, above = seen.value / seen.low, seen.high / seen.value
    return Interval(low=seen.value / below**_CONFIDENCE, high=seen.value * above**_CONFIDENCE)
