"""Hand-in equals best found: sessions on the simulated engine's own cost model, noise and drift on.

The truth is the cost model without noise; every trial of it carries launch noise, step noise and
the drift of its moment, as the real simulated server would.
"""

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.policy.base import Policy
from advisor.policy.loop import AskTell
from advisor.policy.space import Knob, Space
from advisor.profiling import profile_of
from bench.search.ending import log_of, run_off
from bench.search.spaces import hardware
from bench.search.surface import Surface, all_rows
from knowledge.known_models import require_architecture
from knowledge.types import (
    Budget,
    Candidate,
    ClosedLoop,
    Lengths,
    Metric,
    ModelSpec,
    Objective,
    Task,
    Workload,
)
from tools.engines._sim.cost import Cost
from tools.engines._sim.options import build_parser
from tools.engines.base import Flag, FlagCatalog

LAUNCH_CV, WINDOW_CV, DRIFT = 0.015, 0.008, 0.04
_PERIOD_TRIALS = 17
"""Trials in which the machine slows down and recovers once."""
_STREAMS, _INPUT, _OUTPUT = 16, 128, 128
_KNOBS = (
    Knob(flag="dtype", choices=(None, "bfloat16", "float16")),
    Knob(flag="kv-cache-dtype", choices=(None, "fp8")),
    Knob(flag="enforce-eager", choices=(None, True)),
    Knob(flag="async-scheduling", choices=(None, True)),
    Knob(flag="max-num-seqs", choices=(None, 8, 12, 32), recompiles=False),
    Knob(flag="$SIM_THREADS", choices=(None, "2", "3", "4")),
    Knob(flag="speculative-config", choices=(None, '{"num_speculative_tokens": 1}')),
)


@dataclass(frozen=True)
class HandIn:
    """Log gains over the default, without any noise."""

    seed: int
    best_tried: float
    naive: float
    """Of the trial with the best figure: what the winner's curse picks."""
    kept: float
    """Of what the verdicts alone had kept."""
    handed_in: float
    claimed: float
    """What the best single figure promised."""
    repeats: int

    @property
    def loss(self) -> float:
        return 1 - math.exp(self.handed_in - self.best_tried)


def surface_of(seed: int) -> Surface:
    """The cost model over a grid of the simulated engine's options."""
    facts = require_architecture("smollm2-135m").facts
    task = Task(
        model=ModelSpec(name="simulated", path="/nowhere", fingerprint="simulated",
                        weights_bytes=2 * facts.parameters, facts=facts),
        hardware=hardware("h100"),
        workload=Workload(
            name="hand-in", arrival=ClosedLoop(concurrency=_STREAMS),
            input_tokens=Lengths(low=_INPUT, high=_INPUT),
            output_tokens=Lengths(low=_OUTPUT, high=_OUTPUT),
        ),
        engine="sim", objective=Objective.THROUGHPUT, budget=Budget(seconds=3600), seed=seed,
    )  # fmt: skip
    space = Space(_KNOBS, closed=True)
    _, rows = all_rows(space, "sim")
    rates = np.array([rate_of(candidate) for candidate in rows])
    flags = {knob.flag: Flag(name=knob.flag, kind="str") for knob in _KNOBS if knob.kind == "flag"}
    return Surface(
        f"hand-in {seed}", task, space,
        FlagCatalog(engine="sim", version="1", flags=flags, env=("SIM_THREADS",)),
        profile_of(task), {Metric.OUTPUT_TOKENS_PER_S: rates},
        np.zeros(len(rates), dtype=bool), rows,
        launch_cv=LAUNCH_CV, window_cv=WINDOW_CV, drift=DRIFT, period=_PERIOD_TRIALS,
    )  # fmt: skip


def rate_of(candidate: Candidate) -> float:
    """Output tokens per second in a steady state of continuous batching, without noise."""
    config = candidate.config
    arguments = [part for name, value in config.flags.items() for part in _argument(name, value)]
    options = build_parser().parse_args(
        ["--model", "m", "--served-model-name", "m", "--port", "1", *arguments]
    )
    cost = Cost(argparse.Namespace(**vars(options)), config.env)
    batch = min(_STREAMS, options.max_num_seqs)
    held = sum(0.4**k for k in range(cost.draft_tokens + 1))
    per_step = batch * held
    return per_step / cost.step_s(batch, round(_INPUT * per_step / _OUTPUT))


def _argument(name: str, value: object) -> Sequence[str]:
    return (f"--{name}",) if value is True else (f"--{name}", str(value))


def session(surface: Surface, policy: Policy, trials: int) -> HandIn:
    """A search, the repetitions before the hand-in, and the choice."""
    seed = surface.task.seed
    loop = AskTell(surface.task, policy, surface.catalog, surface.profile, space=surface.space)
    rng, launched = random.Random(f"hand-in {seed}"), set[object]()
    default = surface.task.default
    loop.tell(None, surface.measure(default, 0, rng, launched))
    for ordinal in range(1, trials + 1):
        hypothesis = loop.ask()
        if hypothesis is None:
            break
        loop.tell(hypothesis, surface.measure(hypothesis.candidate, ordinal, rng, launched))
    tried = [surface.gain(trial.spec.candidate) for trial in loop.trials]
    ended = run_off(surface, loop.trials, len(loop.trials) - 1, rng, launched)
    first = next(t for t in loop.trials if t.spec.candidate == ended.first)
    assert loop.reference
    return HandIn(
        seed=seed,
        best_tried=max(tried),
        naive=surface.gain(ended.first),
        kept=surface.gain(loop.reference.spec.candidate),
        handed_in=surface.gain(ended.winner),
        claimed=log_of(surface, first) - log_of(surface, loop.trials[0]),
        repeats=ended.repeats,
    )
