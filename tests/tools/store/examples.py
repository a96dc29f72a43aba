"""Small valid values of every kind that the store keeps."""

from datetime import UTC, datetime, timedelta

from knowledge.types import (
    Budget,
    Candidate,
    Change,
    ClosedLoop,
    Decision,
    Device,
    EngineConfig,
    Estimate,
    Hardware,
    Hypothesis,
    Interval,
    Lengths,
    LoadPlan,
    Measurement,
    Metric,
    ModelSpec,
    ProductionTest,
    Profile,
    RequestSample,
    Task,
    TrialResult,
    TrialSpec,
    Verdict,
    Workload,
)
from tests.smollm2 import FACTS

START = datetime(2026, 11, 23, 10, 0, 0, 125000, tzinfo=UTC)

MODEL = ModelSpec(
    name="Tiny-Model",
    path="/models/tiny",
    fingerprint="f" * 12,
    weights_bytes=538_000_000,
    facts=FACTS,
)
TASK = Task(
    model=MODEL,
    hardware=Hardware(
        device=Device(
            name="CPU",
            kind="cpu",
            memory_bytes=24 * 2**30,
            bandwidth_bytes_per_s=2e10,
            flops_per_s={"float32": 1e11},
        ),
        cpu_name="CPU",
        cores=2,
        host_memory_bytes=24 * 2**30,
    ),
    workload=Workload(
        name="demo",
        arrival=ClosedLoop(concurrency=8),
        input_tokens=Lengths(low=102, high=154),
        output_tokens=Lengths(low=51, high=77),
    ),
    engine="vllm",
    budget=Budget(seconds=600),
)
PROFILE = Profile(
    bottleneck="memory-bandwidth", regime="decode", evidence=("Веса читаются на каждом шаге",)
)


def candidate(**flags: str | int | float | bool) -> Candidate:
    return Candidate(config=EngineConfig(engine="vllm", flags=flags, env={"OMP_NUM_THREADS": "2"}))


def hypothesis() -> Hypothesis:
    return Hypothesis(
        technique="dtype",
        policy="knowledge",
        title="Веса в bfloat16",
        rationale="Вдвое меньше чтений из памяти.",
        change=Change(flags={"dtype": "bfloat16", "enforce-eager": None}),
        candidate=candidate(dtype="bfloat16"),
        parent="0" * 12,
        metric=Metric.OUTPUT_TOKENS_PER_S,
        predicted_speedup=Interval(low=1.2, high=1.9),
        cost_s=60,
    )


def trial(session: str, ordinal: int) -> TrialResult:
    return TrialResult(
        spec=TrialSpec(
            session=session,
            ordinal=ordinal,
            purpose="hypothesis",
            candidate=candidate(**{"max-num-seqs": 8, "enable": True, "share": 0.9}),
            model=MODEL,
            workload=TASK.workload,
            load=LoadPlan(),
            deadline_s=300,
        ),
        started_at=START,
        finished_at=START + timedelta(seconds=61),
        measurement=Measurement(
            metrics={
                Metric.TTFT_P50_MS: Estimate(value=120.5, low=110.25, high=131.0, n=40),
                Metric.OUTPUT_TOKENS_PER_S: Estimate(value=231.4, low=225.0, high=238.1, n=30),
            },
            rounds=({Metric.TTFT_P50_MS: 120.5},),
            window_s=30.0,
            requests=40,
            failed_requests=0,
        ),
    )


def verdict(of: TrialResult) -> Verdict:
    return Verdict(
        hypothesis="h" * 12,
        trial_id=of.trial_id,
        reference_trial_id="t00-00000000",
        decision=Decision.KEPT,
        reason="Быстрее.",
        speedup=Estimate(value=1.5, low=1.4, high=1.6, n=2),
        prediction_hit=True,
    )


def production(of: TrialResult) -> ProductionTest:
    return ProductionTest(
        default_trial_id="t08-00000000",
        winner_trial_id=of.trial_id,
        speedup=Estimate(value=1.5, low=1.4, high=1.6, n=2),
        agrees_with_screening=True,
        screening_trial_id=of.trial_id,
        handed_in="winner",
        reason="Выигрыш подтверждён.",
        slos_met=True,
    )


def samples(count: int) -> tuple[RequestSample, ...]:
    """Requests with lists of tokens, and every third one failed."""
    return tuple(
        RequestSample(
            index=i,
            round=0,
            stream=i % 8,
            intended_s=i * 0.5,
            sent_s=i * 0.5 + 0.001,
            first_token_s=None if i % 3 == 2 else i * 0.5 + 0.1,
            end_s=i * 0.5 + 1.0,
            asked_input_tokens=128,
            asked_output_tokens=3,
            output_tokens=3,
            itl_ms=(30.5, 31.25),
            chunk_times_s=(0.1, 0.13, 0.16),
            chunk_tokens=(1, 1, 1),
            text_sha256="ab" * 32,
            finish_reason="length",
            error="http-429" if i % 3 == 2 else None,
        )
        for i in range(count)
    )
