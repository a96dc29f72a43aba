"""llama.cpp: which file it loads, its options, and the real server on the demo model."""

import json
import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import pytest

from knowledge.errors import BadModel
from knowledge.types import EngineConfig, FlagValue
from tests.tools.engines.conftest import (
    environment_of,
    launched,
    make_hardware,
    make_model,
)
from tools.demo_model import gguf_file
from tools.engines import load
from tools.engines.base import OwnFormat
from tools.home import Home
from tools.load import Tokenizer
from tools.quality import forced

ENGINE = load("llamacpp")
SENTENCE = "The capital of France is Paris, and the capital of Italy is Rome."


async def test_loads_the_file_of_an_artifact_else_the_one_the_checkpoint_came_from(
    tmp_path: Path, home: Home
) -> None:
    assert isinstance(ENGINE, OwnFormat)
    folder, artifact = tmp_path / "model", tmp_path / "artifact"
    folder.mkdir()
    artifact.mkdir()
    (tmp_path / "demo.gguf").write_bytes(b"GGUF")
    (artifact / "q8.gguf").write_bytes(b"GGUF")
    model = make_model(folder).replace(gguf=str(tmp_path / "demo.gguf"))
    assert await ENGINE.files(None, model, folder, home, print) == tmp_path / "demo.gguf"
    assert await ENGINE.files(None, model, artifact, home, print) == artifact / "q8.gguf"
    assert ENGINE.lacks(model) == ""


async def test_a_checkpoint_without_a_file_is_refused_with_what_is_needed(
    tmp_path: Path, home: Home
) -> None:
    assert isinstance(ENGINE, OwnFormat)
    assert "GGUF" in ENGINE.lacks(make_model(tmp_path))
    with pytest.raises(BadModel, match="GGUF") as refusal:
        await ENGINE.files(None, make_model(tmp_path), tmp_path, home, print)
    assert "convert_hf_to_gguf.py" in refusal.value.hint
    # The file that the checkpoint came from is no file of an artifact.
    (tmp_path / "source").mkdir()
    source = tmp_path / "source" / "x.gguf"
    source.write_bytes(b"GGUF")
    model = make_model(tmp_path / "model").replace(gguf=str(source))
    with pytest.raises(BadModel):
        await ENGINE.files(None, model, tmp_path, home, print)


def test_memory_is_that_of_the_file_and_of_the_context(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(2**20))
    hardware = make_hardware()
    model = make_model(tmp_path).replace(gguf=str(tmp_path / "m.gguf"))

    def needed(**flags: FlagValue) -> int:
        named = {name.replace("_", "-"): value for name, value in flags.items()}
        config = EngineConfig(engine="llamacpp", flags=named)
        return ENGINE.memory_needed_bytes(config, model, hardware)

    per_token = 11_520 * 2
    assert needed() - needed(ctx_size=1024) == (8192 - 1024) * per_token
    assert needed(ctx_size=1024) - needed(ctx_size=1024, cache_type_k="q8_0") == 512 * per_token


class _Flash(Enum):
    LLAMA_FLASH_ATTN_TYPE_AUTO = -1
    LLAMA_FLASH_ATTN_TYPE_DISABLED = 0
    LLAMA_FLASH_ATTN_TYPE_ENABLED = 1


class _Params(SimpleNamespace):
    """Three fields of another version's CommonParams."""

    def __init__(self) -> None:
        super().__init__(
            n_parallel=1,
            no_kv_offload=False,
            flash_attn_type=_Flash.LLAMA_FLASH_ATTN_TYPE_AUTO,
            slot_prompt_similarity=0.10000000149011612,
            model=SimpleNamespace(path=""),
        )


def test_options_are_the_fields_that_the_installed_version_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(load.__code__.co_filename).parent / "_in_env"))
    import llamacpp_options as options

    package = SimpleNamespace(CommonParams=_Params, llama_flash_attn_type=_Flash)
    parser = options.build_parser(package)
    known = {action.dest for action in parser._actions}
    assert {"parallel", "kv_offload", "flash_attn"} <= known
    assert "cache_type_k" not in known
    given = ["--model", "m.gguf", "--alias", "a", "--port", "1"]
    default = options.apply(parser.parse_args(given), package)
    assert default.n_parallel == 4  # llama-server's own default, not the library's
    assert default.flash_attn_type is _Flash.LLAMA_FLASH_ATTN_TYPE_AUTO
    asked = [*given, "--flash-attn", "on", "--no-kv-offload", "--parallel", "9"]
    params = options.apply(parser.parse_args(asked), package)
    assert params.flash_attn_type is _Flash.LLAMA_FLASH_ATTN_TYPE_ENABLED
    assert (params.no_kv_offload, params.n_parallel) == (True, 9)
    assert (params.model.path, params.hostnames, params.port) == ("m.gguf", ["127.0.0.1"], 1)
    seen = options.settings_of(params, package)
    assert seen == {
        "parallel": 9,
        "kv-offload": False,
        "flash-attn": "on",
        "slot-prompt-similarity": 0.1,
    }
    sys.modules.pop("llamacpp_options", None)


@pytest.mark.engine
async def test_the_real_server_streams_scores_and_stops(
    demo_model: Path, real_home: Home, tmp_path: Path
) -> None:
    env = await environment_of("llamacpp", real_home)
    catalog = await ENGINE.catalog(env, real_home, print)
    assert catalog.flags["parallel"].default == "4"
    assert "q8_0" in catalog.flags["cache-type-k"].choices
    assert "on" in catalog.flags["flash-attn"].choices
    assert "ngram-mod" in catalog.flags["spec-type"].choices
    flags: dict[str, FlagValue] = {"threads": 1, "parallel": 4, "cache-type-k": "q8_0"}
    flags |= {"flash-attn": "on", "ctx-size": 2048, "repack": False}
    ENGINE.validate(EngineConfig(engine="llamacpp", flags=flags), catalog)
    log = tmp_path / "engine.log"
    async with launched("llamacpp", log, flags, model_path=gguf_file(real_home), env=env) as server:
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
        in_force = ENGINE.in_force(log.read_text())
        assert {n: json.dumps(v).strip('"') for n, v in flags.items()}.items() <= in_force.items()
        piece = tuple(Tokenizer.from_folder(demo_model).encode(SENTENCE))
        _, answer = await server.post("/v1/completions", temperature=0, **forced.fields(piece))
        first, *values = forced.read(answer, piece)
        # transformers in float32: -1.690.
        assert first is None
        assert sum(values) / len(values) == pytest.approx(-1.690, abs=0.03)
        counters = await ENGINE.scrape(server.url)
        assert counters["generation_tokens"] >= 12 + len(values)
        assert counters["requests_running"] == 0
    assert server.process.returncode is not None
