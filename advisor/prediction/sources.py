"""Brings measurements to the predictor: the optional extra and our own store."""

from collections.abc import Iterable, Sequence

from knowledge import prediction
from knowledge.errors import StoreError
from knowledge.prediction import Layout, Observation, Prediction, Query
from knowledge.prediction.features import model_key
from knowledge.types import ClosedLoop, Metric, ModelFacts, Task, TrialResult
from tools import silicon
from tools.home import Home

_ELSEWHERE = 200
_DTYPES = {"fp8": "fp8", "w8a8": "int8", "w4a16": "int4", "awq": "int4", "gptq": "int4"}


def predict(query: Query, ours: Sequence[Observation] = ()) -> Prediction:
    """Figures with 90 % intervals, quoting the nearest measurements where there are any."""
    others = elsewhere([query.facts], query.device.name)
    return prediction.predict(query, [*ours, *others])


def elsewhere(models: Iterable[ModelFacts], device: str) -> list[Observation]:
    """Rows of others: of these models, and where there are none, of the same device."""
    keys = frozenset(model_key(facts) for facts in models)
    found = [row.observation for row in silicon.rows(model_keys=keys)]
    if not found:
        found = [row.observation for row in silicon.rows(device=device)][::3][:_ELSEWHERE]
    return found


def ours(home: Home) -> list[Observation]:
    """Every measured trial of our own store; none while another process holds it."""
    if not home.store.exists():
        return []
    from tools.store import Store

    try:
        with Store.open(home.store, "advisor plan") as store:
            records = [store.record(row.session) for row in store.sessions()]
    except StoreError:
        return []
    found = [observation_of(record.task, one) for record in records for one in record.trials]
    return [seen for seen in found if seen is not None]


def observation_of(task: Task, trial: TrialResult) -> Observation | None:
    """A trial as the predictor learns from it; None where it measured no fixed concurrency."""
    arrival, found = task.workload.arrival, trial.measurement
    if not isinstance(arrival, ClosedLoop) or found is None or trial.failure is not None:
        return None
    figures = {name: one.value for name, one in found.metrics.items()}
    candidate = trial.spec.candidate
    flags = candidate.config.flags
    return Observation(
        model=task.model.name,
        engine=candidate.config.engine,
        device=task.hardware.device.name,
        hardware=task.hardware.device,
        facts=task.model.facts,
        weight_dtype=_weight_dtype(task, trial),
        kv_dtype="fp8" if "fp8" in str(flags.get("kv-cache-dtype", "")) else "bfloat16",
        layout=Layout(tp=int(flags.get("tensor-parallel-size", 1))),
        input_tokens=task.workload.input_tokens.mean,
        output_tokens=task.workload.output_tokens.mean,
        concurrency=arrival.concurrency,
        ttft_ms=figures.get(Metric.TTFT_P50_MS),
        tpot_ms=figures.get(Metric.TPOT_P50_MS),
        source="here",
        reference=f"испытание {trial.trial_id}",
        measured_on=trial.started_at.date().isoformat(),
    )


def _weight_dtype(task: Task, trial: TrialResult) -> str:
    candidate = trial.spec.candidate
    asked = str(candidate.config.flags.get("quantization", ""))
    scheme = candidate.artifact.scheme.lower() if candidate.artifact else asked.lower()
    for mark, dtype in _DTYPES.items():
        if mark in scheme:
            return dtype
    wanted = str(candidate.config.flags.get("dtype", task.model.facts.dtype))
    return wanted if wanted in ("bfloat16", "float16", "float32") else "bfloat16"
