import pytest

from knowledge.known_models import require_architecture
from knowledge.objectives import default_objectives
from knowledge.types import Metric, Objective


@pytest.mark.parametrize(
    ("model", "tpot_ms"),
    [
        ("mistral-7b", 100),
        ("llama-2-13b", 150),
        ("llama-3.3-70b", 400),
        ("qwen3-0.6b", 50),
        ("gpt-oss-120b", 100),  # 5B are active
    ],
)
def test_tpot_follows_the_active_size(model, tpot_ms):
    limits = {
        slo.metric: slo.limit for slo in default_objectives(require_architecture(model).facts).slos
    }
    assert limits == {Metric.TTFT_P95_MS: 200, Metric.TPOT_P95_MS: tpot_ms}


def test_latency_comes_first_and_an_unknown_model_counts_as_7b():
    defaults = default_objectives()
    assert defaults.objective is Objective.LATENCY
    assert defaults.band == default_objectives(require_architecture("mistral-7b").facts).band
    assert (defaults.gpu_utilization_at_least, defaults.memory_use_at_least) == (0.8, 0.85)
    assert defaults.provenance


def test_the_largest_model_has_a_band():
    band = default_objectives(require_architecture("llama-3.1-405b").facts).band
    assert band.up_to_parameters is None
    assert band.today_tpot_ms.low < band.tpot_ms.high
