"""ONNX Runtime: what it serves, the export, and the real server on the demo model."""

import json
from pathlib import Path

import pytest

from knowledge.errors import BadModel
from knowledge.types import EngineConfig, FlagValue
from tests.tools.engines.conftest import Server, environment_of, launched, make_hardware, make_model
from tools.engines import load
from tools.engines.base import OwnFormat
from tools.home import Home
from tools.models import look_at

ENGINE = load("onnxruntime")
SENTENCE = "The capital of France is Paris, and the capital of Italy is Rome."
HI = [{"role": "user", "content": "Say hi"}]


async def test_an_artifact_is_served_as_it_is_if_it_is_a_graph(tmp_path: Path, home: Home) -> None:
    assert isinstance(ENGINE, OwnFormat)
    graph, other = tmp_path / "graph", tmp_path / "other"
    graph.mkdir()
    other.mkdir()
    (graph / "genai_config.json").write_text("{}")
    model = make_model(tmp_path / "model")
    assert await ENGINE.files(None, model, graph, home, print) == graph
    with pytest.raises(BadModel, match=r"genai_config\.json"):
        await ENGINE.files(None, model, other, home, print)
    assert "веса" in ENGINE.lacks(model.replace(dummy_weights=True))


def test_memory_grows_with_the_requests_served_at_once() -> None:
    def needed(parallel: int) -> int:
        config = EngineConfig(engine="onnxruntime", flags={"parallel": parallel})
        return ENGINE.memory_needed_bytes(config, make_model(), make_hardware())

    assert needed(6) - needed(2) == 4 * 2048 * 11_520 * 4


@pytest.mark.engine
async def test_the_real_server_streams_scores_and_counts(
    demo_model: Path, real_home: Home, tmp_path: Path
) -> None:
    assert isinstance(ENGINE, OwnFormat)
    env = await environment_of("onnxruntime", real_home)
    model = look_at(demo_model, "tiny")
    graph = await ENGINE.files(env, model, demo_model, real_home, print)
    assert graph == await ENGINE.files(env, model, demo_model, real_home, print)
    flags: dict[str, FlagValue] = {"parallel": 2, "intra-op-num-threads": 1}
    log = tmp_path / "engine.log"
    async with launched("onnxruntime", log, flags, model_path=graph, env=env) as server:
        assert await server.ready(), server.process.log_tail()
        *events, last = await server.stream(
            "/v1/completions",
            prompt="The capital of France is",
            max_tokens=12,
            temperature=0,
            ignore_eos=True,
            stream_options={"include_usage": True},
        )
        assert last["usage"]["completion_tokens"] == 12
        assert "".join(e["choices"][0]["text"] for e in events).startswith(" Paris")
        await _scores(server)
        await _ends_of_text_are_ignored_when_asked(server)
        in_force = ENGINE.in_force(log.read_text())
        assert {n: json.dumps(v) for n, v in flags.items()}.items() <= in_force.items()
        counters = await ENGINE.scrape(server.url)
        assert counters["generation_tokens"] >= 12 + 1 + 60
        assert counters["requests_running"] == 0
    assert server.process.returncode is not None


async def _scores(server: Server) -> None:
    status, answer = await server.post(
        "/v1/completions", prompt=SENTENCE, max_tokens=1, temperature=0, prompt_logprobs=0
    )
    assert status == 200, answer
    first, *rest = answer["choices"][0]["prompt_logprobs"]
    values = [next(iter(entry.values()))["logprob"] for entry in rest]
    assert first is None
    # transformers in float32: -1.6904; the graph is of the same weights.
    assert sum(values) / len(values) == pytest.approx(-1.6904, abs=1e-3)


async def _ends_of_text_are_ignored_when_asked(server: Server) -> None:
    asked = {"messages": HI, "max_tokens": 60, "temperature": 0}
    _, short = await server.post("/v1/chat/completions", **asked)
    _, long = await server.post("/v1/chat/completions", **asked, ignore_eos=True)
    assert short["choices"][0]["finish_reason"] == "stop"
    assert short["usage"]["completion_tokens"] < 60
    assert long["usage"]["completion_tokens"] == 60
