"""A hand-made session: eight hypotheses, every kind of decision, a production test."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from knowledge.types import (
    Artifact,
    Budget,
    Candidate,
    Cause,
    Change,
    Check,
    ClosedLoop,
    Decision,
    Device,
    EngineConfig,
    Estimate,
    Event,
    Failure,
    FlagValue,
    Hardware,
    Hypothesis,
    IntegrityResult,
    Interval,
    KernelShare,
    Launch,
    Lengths,
    LoadPlan,
    Measurement,
    Metric,
    ModelSpec,
    Part,
    PhaseProfile,
    ProductionTest,
    Profile,
    QualityResult,
    QualityVerdict,
    RequestSample,
    Slo,
    StepProfile,
    Task,
    TaskComparison,
    Telemetry,
    TrialResult,
    TrialSpec,
    Verdict,
    Workload,
)
from tests.smollm2 import FACTS
from tools.store import SessionRecord, SessionRow, Status

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SESSION = "s-20261123-demo"
VENV = "/home/user/.cache/inference-advisor/envs/vllm-1a2b3c"
MODEL_PATH = "/home/user/.cache/inference-advisor/models/smollm2"
W8A8_PATH = "/home/user/.cache/inference-advisor/artifacts/9f8e7d"

MODEL = ModelSpec(
    name="SmolLM2-135M-Instruct",
    path=MODEL_PATH,
    fingerprint="5d1e0c9f7a3b2468ace0",
    weights_bytes=538_090_408,
    facts=FACTS,
)
TASK = Task(
    model=MODEL,
    hardware=Hardware(
        device=Device(
            name="Intel Xeon Platinum 8488C",
            kind="cpu",
            memory_bytes=24 * 2**30,
            bandwidth_bytes_per_s=21.4e9,
            flops_per_s={"float32": 1.9e11, "bfloat16": 1.1e12},
            measured=True,
        ),
        cpu_name="Intel Xeon Platinum 8488C",
        cores=2,
        isa=("avx512f", "avx512_bf16", "amx_bf16"),
        host_memory_bytes=24 * 2**30,
        software={"Linux": "6.8.0", "Python": "3.11.9"},
    ),
    workload=Workload(
        name="demo",
        arrival=ClosedLoop(concurrency=8),
        input_tokens=Lengths(low=102, high=154),
        output_tokens=Lengths(low=51, high=77),
    ),
    engine="vllm",
    objective="throughput",
    slos=(Slo(metric=Metric.TPOT_P95_MS, limit=60),),
    budget=Budget(seconds=720, trials=8),
)


def near(value: float, spread: float, n: int = 96) -> Estimate:
    """An interval of so many percent to either side."""
    return Estimate(value=value, low=value * (1 - spread), high=value * (1 + spread), n=n)


def measurement(rate: float, ttft: float, tpot: float, spread: float = 0.03) -> Measurement:
    """All metrics of a server that yields `rate` tokens/s, from three figures."""
    figures = {
        Metric.OUTPUT_TOKENS_PER_S: near(rate, spread),
        Metric.REQUESTS_PER_S: near(rate / 64, spread),
        Metric.TTFT_MEAN_MS: near(ttft * 1.1, spread),
        Metric.TTFT_P50_MS: near(ttft, spread),
        Metric.TTFT_P95_MS: near(ttft * 1.8, spread * 2),
        Metric.TTFT_P99_MS: near(ttft * 2.2, spread * 4),
        Metric.TPOT_P50_MS: near(tpot, spread),
        Metric.TPOT_P95_MS: near(tpot * 1.2, spread * 2),
        Metric.TPOT_P99_MS: near(tpot * 1.3, spread * 4),
        Metric.ITL_P50_MS: near(tpot * 0.95, spread),
        Metric.ITL_P95_MS: near(tpot * 1.6, spread * 2),
        Metric.ITL_P99_MS: near(tpot * 2.9, spread * 4),
        Metric.E2E_P50_MS: near(ttft + 63 * tpot, spread),
        Metric.E2E_P95_MS: near(1.2 * (ttft + 63 * tpot), spread * 2),
        Metric.E2E_P99_MS: near(1.3 * (ttft + 63 * tpot), spread * 4),
        Metric.ERROR_RATE: Estimate(value=0, low=0, high=0.01, n=96),
    }
    return Measurement(
        metrics=figures,
        rounds=(
            {Metric.OUTPUT_TOKENS_PER_S: rate * 0.99},
            {Metric.OUTPUT_TOKENS_PER_S: rate * 1.01},
        ),
        window_s=29.4,
        requests=96,
        failed_requests=0,
        client_lag_p99_ms=1.2,
    )


def candidate(
    env: dict[str, str] | None = None, artifact: Artifact | None = None, **flags: FlagValue
) -> Candidate:
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    return Candidate(
        config=EngineConfig(engine="vllm", flags=named, env=env or {}), artifact=artifact
    )


NAIVE = Candidate(config=EngineConfig(engine="transformers"))
DEFAULT = candidate()
BF16 = candidate(dtype="bfloat16")
THREADS = {"VLLM_CPU_OMP_THREADS_BIND": "0-1"}
BOTH = candidate(THREADS, dtype="bfloat16")
W8A8 = Artifact(quantizer="llmcompressor", scheme="w8a8")
NGRAM = '{"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 3}'


def launch(of: Candidate, port: int) -> Launch:
    path = W8A8_PATH if of.artifact else MODEL_PATH
    flags: list[str] = []
    for name, value in of.config.flags.items():
        flags += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return Launch(
        argv=(
            f"{VENV}/bin/python", "-m", "vllm.entrypoints.openai.api_server",
            "--model", path, "--host", "127.0.0.1", "--port", str(port), *flags,
        ),
        env={
            "PATH": f"{VENV}/bin:/usr/bin",
            "HOME": "/home/user",
            "ADVISOR_OWNED": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            **of.config.env,
        },
        ready_s=27.6,
        engine_version="0.32.0+cpu",
        in_force={"dtype": str(of.config.flags.get("dtype", "float32"))},
        ceased_s=1.2,
        memory_returned=True,
    )  # fmt: skip


def quality(perplexity: float, mean: float) -> QualityResult:
    return QualityResult(
        tokens=5760,
        mean_logprob=mean,
        perplexity=perplexity,
        chunk_logprobs=((mean, mean), (mean, mean)),
        text_sha256="c0ffee" * 10 + "c0ff",
        seconds=15.1,
    )


STEPS = StepProfile(
    profiler="torch",
    timeline="operators",
    device_ms=3881.4,
    host_ms=3881.4,
    client_step_ms=36.9,
    undisturbed_step_ms=31.4,
    phases=(
        PhaseProfile(
            phase="decode",
            steps=72,
            step_ms=38.35,
            prompt_tokens=0,
            sequences=4,
            parts_ms={
                Part.GEMM: 15.79,
                Part.ATTENTION: 3.75,
                Part.OTHER: 5.61,
                Part.HOST_GAP: 13.2,
            },
            top=(KernelShare(name="_C::onednn_mm", part=Part.GEMM, total_ms=1136.6, calls=8712),),
        ),
    ),
)


def trial(
    ordinal: int,
    purpose: str,
    of: Candidate,
    seen: Measurement | None,
    scored: QualityResult | None = None,
    failure: Failure | None = None,
) -> TrialResult:
    began = START + timedelta(minutes=1, seconds=75 * ordinal)
    return TrialResult(
        profile=STEPS if purpose == "baseline" else None,
        spec=TrialSpec(
            session=SESSION,
            ordinal=ordinal,
            purpose=purpose,
            candidate=of,
            model=MODEL,
            workload=TASK.workload,
            load=LoadPlan(),
            deadline_s=300,
        ),
        started_at=began,
        finished_at=began + timedelta(seconds=68),
        launch=None if failure else launch(of, 40000 + ordinal),
        measurement=seen,
        telemetry=None if failure else TELEMETRY,
        quality=scored,
        quality_skipped=None if scored or failure else "скорость уже не могла выиграть",
        integrity=None if failure else INTEGRITY,
        failure=failure,
    )


TELEMETRY = Telemetry(
    samples=60,
    cpu_percent_mean=188.5,
    rss_peak_bytes=3_650_000_000,
    engine={"kv_cache_usage_perc": 0.083, "num_preemptions": 0, "prefix_cache_hit_rate": 0.012},
)
INTEGRITY = IntegrityResult(
    checks=(
        Check(name="Длины ответов", passed=True, asked="64,0 токена", seen="64,0 токена"),
        Check(name="Флаги в силе", passed=True, asked="dtype=bfloat16", seen="dtype=bfloat16"),
    )
)

TRIALS = (
    trial(0, "naive", NAIVE, measurement(27.3, 13400, 36), quality(12.31, -2.5105)),
    trial(1, "baseline", DEFAULT, measurement(118.4, 412, 61), quality(12.31, -2.5105)),
    trial(2, "hypothesis", BF16, measurement(201.2, 248, 36), quality(12.36, -2.5145)),
    trial(3, "hypothesis", BOTH, measurement(249.6, 205, 29), quality(12.36, -2.5145)),
    trial(
        4, "hypothesis", candidate(THREADS, dtype="bfloat16", max_num_seqs=8),
        measurement(251.0, 204, 28.9), quality(12.36, -2.5145),
    ),
    trial(
        5, "hypothesis", candidate(THREADS, dtype="bfloat16", speculative_config=NGRAM),
        measurement(214.3, 236, 34.2),
    ),
    trial(
        6, "hypothesis", candidate(THREADS, W8A8, dtype="bfloat16"),
        measurement(291.7, 190, 24.6), quality(12.93, -2.5596),
    ),
    trial(
        7, "hypothesis", candidate(THREADS | {"VLLM_CPU_KVCACHE_SPACE": "64"}, dtype="bfloat16"),
        None,
        failure=Failure(
            cause=Cause.OUT_OF_MEMORY,
            message="Движок завершился при запуске: не хватило памяти",
            log_tail=("INFO allocating KV cache: 64 GiB", "MemoryError: cannot allocate 64 GiB"),
        ),
    ),
    trial(8, "production", DEFAULT, measurement(117.2, 416, 61.6), quality(12.31, -2.5105)),
    trial(9, "production", BOTH, measurement(246.9, 207, 29.3), quality(12.36, -2.5145)),
)  # fmt: skip


def hypothesis(
    ordinal: int,
    technique: str,
    title: str,
    rationale: str,
    predicted: tuple[float, float],
    change: Change,
    policy: str = "knowledge",
) -> tuple[int, Hypothesis]:
    return ordinal, Hypothesis(
        technique=technique,
        policy=policy,
        title=title,
        rationale=rationale,
        change=change,
        candidate=TRIALS[ordinal].spec.candidate,
        parent=DEFAULT.content_id(),
        metric=Metric.OUTPUT_TOKENS_PER_S,
        predicted_speedup=Interval(low=predicted[0], high=predicted[1]),
        evidence=("Веса занимают 538 МБ, на шаг decode они читаются целиком.",)
        if technique == "dtype"
        else (),
        cost_s=70,
        quality_risk="low" if technique == "dtype" else "none",
        detectable_speedup=1.094,
    )


HYPOTHESES = (
    hypothesis(
        2, "dtype", "Веса и вычисления в bfloat16",
        "Decode упирается в чтение весов, а bfloat16 вдвое короче float32; "
        "у процессора есть инструкции AMX.",
        (1.4, 2.0), Change(flags={"dtype": "bfloat16"}),
    ),
    hypothesis(
        3, "threads", "Оба ядра под вычисления",
        "По умолчанию vLLM оставляет одно ядро серверу; при двух ядрах это половина машины.",
        (1.1, 1.6), Change(env=dict(THREADS)),
    ),
    hypothesis(
        4, "max-num-seqs", "Batch по числу потоков", "Больше восьми запросов сразу не бывает.",
        (0.98, 1.05), Change(flags={"max-num-seqs": 8}), policy="search",
    ),
    hypothesis(
        5, "ngram-speculation", "Спекулятивная генерация по n-граммам",
        "Если ответ повторяет куски prompt, часть токенов можно угадать.",
        (0.9, 1.3), Change(flags={"speculative-config": NGRAM}),
    ),
    hypothesis(
        6, "w8a8", "Квантизация W8A8", "Веса становятся ещё вдвое короче.",
        (1.1, 1.5), Change(artifact=W8A8),
    ),
    hypothesis(
        7, "kv-space", "KV cache на 64 ГиБ", "Больше места под KV cache.",
        (1.0, 1.1), Change(env={"VLLM_CPU_KVCACHE_SPACE": "64"}), policy="search",
    ),
)  # fmt: skip


TASKS = TaskComparison(
    kind="exact",
    questions=120,
    reference_accuracy=0.6,
    candidate_accuracy=0.5,
    only_reference=17,
    only_candidate=5,
    difference=Estimate(value=-0.1, low=-0.173, high=-0.024, n=120),
    margin=0.05,
    non_inferior=False,
    worse=True,
)


def verdict(
    ordinal: int,
    reference: int,
    decision: Decision,
    reason: str,
    speedup: Estimate | None,
    loss: tuple[float, float, float] | None = None,
) -> Verdict:
    predicted = dict(HYPOTHESES)[ordinal].predicted_speedup
    judged = None
    if loss is not None:
        judged = QualityVerdict(
            non_inferior=loss[2] < 0.03,
            loss_nats_per_token=Estimate(value=loss[0], low=loss[1], high=loss[2], n=5760),
            margin=0.03,
            flips=Estimate(value=2.3 * loss[0], low=2.1 * loss[0], high=2.5 * loss[0], n=24),
            kl_nats=Estimate(value=0.4 * loss[0], low=0.3 * loss[0], high=0.5 * loss[0], n=24),
            worst_chunk_nats=2 * loss[2],
            same_prefix=0.74,
            power=0.98,
            tasks=(TASKS,) if loss[0] > 0.01 else (),
        )
    return Verdict(
        hypothesis=dict(HYPOTHESES)[ordinal].content_id(),
        trial_id=TRIALS[ordinal].trial_id,
        reference_trial_id=TRIALS[reference].trial_id,
        decision=decision,
        reason=reason,
        speedup=speedup,
        detectable_speedup=1.071 if speedup else None,
        prediction_hit=predicted.contains(speedup.value) if speedup else None,
        slos_met=True if speedup else None,
        quality=judged,
    )


VERDICTS = (
    verdict(2, 1, Decision.KEPT, "Нижняя граница выигрыша ×1,63 выше порога ×1,03, качество цело.",
            near(1.699, 0.04), (0.0040, 0.0018, 0.0062)),
    verdict(3, 2, Decision.KEPT, "Нижняя граница выигрыша ×1,19 выше порога ×1,03, качество цело.",
            near(1.241, 0.04), (0.0040, 0.0018, 0.0062)),
    verdict(4, 3, Decision.INCONCLUSIVE, "Интервал включает единицу: различить нельзя.",
            near(1.006, 0.04), (0.0040, 0.0018, 0.0062)),
    verdict(5, 3, Decision.DROPPED, "медленнее: на естественном тексте угадывается мало токенов",
            near(0.859, 0.04)),
    verdict(6, 3, Decision.DROPPED, "Быстрее, но потеря качества выше допуска 0,02 nats/token.",
            near(1.169, 0.04), (0.0491, 0.0437, 0.0548)),
    verdict(7, 3, Decision.CRASHED, "Движку не хватило памяти при запуске.", None),
)  # fmt: skip

RECORD = SessionRecord(
    row=SessionRow(
        session=SESSION,
        created_at=START,
        status=Status.DONE,
        model=MODEL.name,
        engine="vllm",
        workload="demo",
        objective="throughput",
        advisor_version="0.1.0",
        schema_version=1,
    ),
    task=TASK,
    options={"model": "demo"},
    profile=Profile(
        bottleneck="memory-bandwidth",
        regime="decode",
        evidence=(
            "Шаг decode читает 538 МБ весов; при 21,4 ГБ/с это не меньше 25,1 мс.",
            "Вычисления того же шага заняли бы 11,3 мс.",
        ),
    ),
    hypotheses=HYPOTHESES,
    trials=TRIALS,
    verdicts=VERDICTS,
    production=ProductionTest(
        default_trial_id=TRIALS[8].trial_id,
        winner_trial_id=TRIALS[9].trial_id,
        speedup=Estimate(value=2.107, low=2.031, high=2.186, n=4),
        agrees_with_screening=True,
        screening_trial_id=TRIALS[3].trial_id,
        handed_in="winner",
        reason="выигрыш подтвердился после холодного запуска",
        slos_met=True,
        highest_load={"concurrency": 12},
        stopping="раундов 4 из 10, выигрыш ясен (при таком шуме различим выигрыш от ×1,05)",
    ),
    events=(
        Event(seq=1, session=SESSION, at=START, kind="baseline", payload={"launch_cv": 0.015}),
    ),
)


def samples(_trial_id: str) -> Sequence[RequestSample]:
    """Two requests of every trial: enough to say which lengths were measured."""
    return tuple(
        RequestSample(
            index=i, round=0, stream=i, intended_s=0, sent_s=0, first_token_s=0.2,
            last_token_s=2.0, end_s=2.0, asked_input_tokens=128, asked_output_tokens=64,
            input_tokens=128, output_tokens=64,
        )
        for i in range(2)
    )  # fmt: skip
