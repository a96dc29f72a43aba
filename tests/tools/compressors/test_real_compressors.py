"""Every method for real, on a network so small that torch's import is most of the time."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from knowledge.errors import BadInput
from knowledge.types import Artifact, FlagValue, ModelSpec
from tests.tools import tiny
from tools import artifacts, envs
from tools.compressors import load
from tools.hardware import inspect
from tools.home import Home
from tools.models import look_at
from tools.quantizers.base import ArtifactReport

pytestmark = pytest.mark.engine

TEXT: dict[str, FlagValue] = {"samples": 10, "tokens": 32}
SHORT: dict[str, FlagValue] = {"steps": 3, "batch": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return look_at(tiny.write(tmp_path_factory.mktemp("tiny") / "llama"), "tiny")


async def compressed(
    name: str,
    model: ModelSpec,
    real_home: Home,
    out: Path,
    *,
    scheme: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
    **options: FlagValue,
) -> ArtifactReport:
    maker = load(name)
    env = await envs.ensure(maker.env_spec(inspect(real_home)), real_home, print)
    recipe = Artifact(quantizer=name, scheme=scheme or maker.schemes[0], options=options)
    out.mkdir(exist_ok=True)
    home = Home(data=out.parent / "data", cache=out.parent / "cache")
    return await maker.make(recipe, model, env, out, home, progress)


def config_of(out: Path) -> dict[str, int]:
    told: dict[str, int] = json.loads((out / "config.json").read_text())
    return told


@pytest.mark.parametrize("name", ["magnitude", "sparsegpt"])
async def test_half_of_the_weights_become_zero(
    name: str, model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    text = TEXT if name != "magnitude" else {}
    report = await compressed(name, model, real_home, out, sparsity=0.5, **text)
    assert report.details["sparsity"] == pytest.approx(0.5, abs=0.01)
    found = tiny.linear(tiny.read(out / "model.safetensors"))
    shares = [float((tensor == 0).mean()) for tensor in found.values()]
    assert shares == pytest.approx([0.5] * len(shares), abs=0.02)
    if name == "sparsegpt":  # what is left made up for what went
        before = tiny.linear(tiny.weights())
        moved = [np.abs(t[t != 0] - before[n][t != 0]).max() for n, t in found.items()]
        assert max(moved) > 0.01


@pytest.mark.parametrize("name", ["wanda", "sparsegpt"])
async def test_two_of_every_four_are_zero(
    name: str, model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    await compressed(name, model, real_home, out, scheme="2-4", **TEXT)
    for tensor in tiny.linear(tiny.read(out / "model.safetensors")).values():
        assert ((tensor.reshape(-1, 4) == 0).sum(1) >= 2).all()


async def test_layers_go_and_the_rest_is_numbered_anew(
    model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = await compressed(
        "layers", model, real_home, out, ratio=0.5, **TEXT, **(SHORT | {"steps": 0})
    )
    gone = json.loads(str(report.details["dropped_layers"]))
    influence = json.loads(str(report.details["influence"]))
    assert sorted(influence.index(x) for x in sorted(influence)[:2]) == gone
    assert config_of(out)["num_hidden_layers"] == tiny.LAYERS - 2
    made, before = tiny.read(out / "model.safetensors"), tiny.weights()
    kept = [i for i in range(tiny.LAYERS) if i not in gone]
    for new, old in enumerate(kept):
        name = "model.layers.{}.mlp.up_proj.weight"
        assert np.allclose(made[name.format(new)], before[name.format(old)], atol=0.01)
    assert report.bytes_after < report.bytes_before / 2


async def test_neurons_and_heads_leave_a_smaller_network_that_still_learns(
    model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    for name, ratio in (("neurons", 0.25), ("heads", 0.5)):
        out = tmp_path / name
        report = await compressed(
            name, model, real_home, out, ratio=ratio, hidden_weight=0.5, **TEXT, **SHORT
        )
        made = tiny.read(out / "model.safetensors")
        width = made["model.layers.0.mlp.down_proj.weight"].shape[1]
        assert width == config_of(out)["intermediate_size"]
        queries = made["model.layers.0.self_attn.q_proj.weight"].shape[0]
        assert queries == config_of(out)["num_attention_heads"] * tiny.DIM
        assert (width < tiny.INNER) == (name == "neurons")
        assert (queries < tiny.HEADS * tiny.DIM) == (name == "heads")
        assert {"loss_before", "loss_after"} <= report.details.keys()


async def test_pruning_round_by_round_ends_at_the_asked_share(
    model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = await compressed(
        "iterative", model, real_home, out, sparsity=0.6, rounds=2, rewind=True, **TEXT, **SHORT
    )
    rounds = json.loads(str(report.details["rounds"]))
    assert [share for share, _ in rounds] == pytest.approx([0.3675, 0.6], abs=1e-3)
    assert report.details["sparsity"] == pytest.approx(0.6, abs=0.01)


async def test_a_distillation_that_was_cut_off_goes_on_from_its_checkpoint(
    model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    lines: list[str] = []
    options: dict[str, FlagValue] = {**TEXT, "steps": 12, "batch": 2, "lr": 1e-3, "ratio": 0.5}
    task = asyncio.current_task()
    assert task is not None

    def cut_off(line: str) -> None:
        lines.append(line)
        if line.startswith("шаг 7 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await compressed("distill", model, real_home, tmp_path / "out", progress=cut_off, **options)
    kept = list((tmp_path / "cache" / "artifacts" / ".checkpoints").rglob("state.pt"))
    assert kept
    lines.clear()
    report = await compressed(
        "distill", model, real_home, tmp_path / "out", progress=lines.append, **options
    )
    assert "продолжаю с шага 5" in lines
    assert any(line.startswith("шаг 6 из 12: loss") for line in lines)
    assert not any(line.startswith("шаг 5 из 12") for line in lines)
    assert not kept[0].exists()
    assert report.details["loss_after"] < report.details["loss_before"]  # type: ignore[operator]
    assert config_of(tmp_path / "out")["num_hidden_layers"] == 2


async def test_low_rank_is_merged_back_and_says_so(
    model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    for name in ("svd", "tucker", "cp"):
        out = tmp_path / name
        text = TEXT if name == "svd" else {}
        report = await compressed(name, model, real_home, out, keep=0.5, **text)
        assert report.details["form"] == "dense"
        asked = 0.5 * int(report.details["dense_parameters"])
        assert 0.3 * asked < int(report.details["factor_parameters"]) <= asked * 1.001
        errors = json.loads(str(report.details["error_by_layer"]))
        assert len(errors) == tiny.LAYERS
        assert all(0 < error < 1 for error in errors.values())
        query = "model.layers.0.self_attn.q_proj.weight"
        before, after = tiny.weights()[query], tiny.read(out / "model.safetensors")[query]
        assert not np.allclose(before, after, atol=0.01)


async def test_a_lora_adapter_is_added_to_the_weights(
    model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    told = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"],
            "task_type": "CAUSAL_LM", "base_model_name_or_path": "tiny"}  # fmt: skip
    (adapter / "adapter_config.json").write_text(json.dumps(told))
    draw = np.random.default_rng(1)
    a = draw.normal(0, 1, (2, tiny.HIDDEN)).astype(np.float32)
    b = draw.normal(0, 1, (tiny.HEADS * tiny.DIM, 2)).astype(np.float32)
    start = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    layers = range(tiny.LAYERS)
    tensors = {start.format(i, "A"): a for i in layers} | {start.format(i, "B"): b for i in layers}
    tiny.save(adapter / "adapter_model.safetensors", tensors)
    out = tmp_path / "out"
    await compressed("lora", model, real_home, out, adapter=str(adapter))
    made = tiny.read(out / "model.safetensors")
    name = "model.layers.1.self_attn.q_proj.weight"
    assert np.allclose(made[name], tiny.weights()[name] + 2 * b @ a, atol=0.05)


async def test_the_artifact_is_published_whole_and_found_again(
    model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    home = Home(data=real_home.data, cache=tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "envs").symlink_to(real_home.envs)
    recipe = Artifact(quantizer="magnitude", scheme="unstructured", options={"sparsity": 0.3})
    folder = await artifacts.ensure(recipe, model, inspect(real_home), home, print)
    found = artifacts.find(recipe, model, home)
    assert found is not None
    assert "torch" in found.versions
    again = look_at(folder, "tiny")
    assert again.facts.parameters == model.facts.parameters
    with pytest.raises(BadInput, match="sparsity"):
        await artifacts.ensure(
            recipe.replace(options={"sparsity": 2.0}), model, inspect(real_home), home, print
        )
