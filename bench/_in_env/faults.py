"""Runs in the engine's own environment: a checkpoint with one fault in it, as a JSON job."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Weights = dict[str, torch.Tensor]
Change = Callable[[Weights, Path], None]
"""Edits the weights in place and the files beside them in their folder."""

_LAYER = re.compile(r"[.]layers[.](\d+)[.]")


def _linear(name: str) -> bool:
    return name.endswith("_proj.weight")


def _layers(weights: Weights) -> int:
    return 1 + max(int(m.group(1)) for name in weights if (m := _LAYER.search(name)))


def scaled_layer(weights: Weights, folder: Path) -> None:
    """Every matrix of the middle layer times 1.1."""
    middle = f".layers.{_layers(weights) // 2}."
    for name in weights:
        if middle in name and _linear(name):
            weights[name] = weights[name] * 1.1


def scaled_norm(weights: Weights, folder: Path) -> None:
    """The last norm times 1.15: every probability too sure of itself."""
    name = next(n for n in weights if n.endswith("model.norm.weight"))
    weights[name] = weights[name] * 1.15


def dropped_layer(weights: Weights, folder: Path) -> None:
    """Without the layer at two thirds; the others move up."""
    gone = 2 * _layers(weights) // 3
    _keep(weights, folder, [i for i in range(_layers(weights)) if i != gone])


def smaller_model(weights: Weights, folder: Path) -> None:
    """Two thirds of the layers: a smaller model that answers to the same name."""
    _keep(weights, folder, [i for i in range(_layers(weights)) if i % 3 != 1])


def _keep(weights: Weights, folder: Path, layers: list[int]) -> None:
    place = {old: new for new, old in enumerate(layers)}
    for name in list(weights):
        if not (found := _LAYER.search(name)):
            continue
        tensor, old = weights.pop(name), int(found.group(1))
        if old in place:
            weights[_LAYER.sub(f".layers.{place[old]}.", name, count=1) + "\0"] = tensor
    for name in [n for n in weights if n.endswith("\0")]:
        weights[name.rstrip("\0")] = weights.pop(name)
    _edit(folder / "config.json", num_hidden_layers=len(layers))


def _rounded(weights: Weights, bits: int, group: int) -> None:
    """To the nearest of 2^bits values, scaled by the largest of its output row or group."""
    most = 2 ** (bits - 1) - 1
    for name in weights:
        if _linear(name):
            tensor = weights[name].float()
            rows = tensor.reshape(-1, group) if group else tensor
            step = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / most
            rounded = (rows / step).round().clamp(-most - 1, most) * step
            weights[name] = rounded.reshape(tensor.shape).to(weights[name].dtype)


def three_bits(weights: Weights, folder: Path) -> None:
    _rounded(weights, 3, 64)


def eight_bits(weights: Weights, folder: Path) -> None:
    """No fault: an ordinary weight-only 8-bit checkpoint."""
    _rounded(weights, 8, 0)


def rope_theta(weights: Weights, folder: Path) -> None:
    """A tenth of the right one: what a config of another model family has."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    if rope := config.get("rope_parameters"):
        rope["rope_theta"] = rope["rope_theta"] / 10
        _edit(file, rope_parameters=rope)
    else:
        _edit(file, rope_theta=config["rope_theta"] / 10)


def swapped_tokens(weights: Weights, folder: Path) -> None:
    """Two common entries of the vocabulary change places."""
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    words = tokenizer["model"]["vocab"]
    one, two = "\u0120is", "\u0120to"
    words[one], words[two] = words[two], words[one]
    file.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")


def chat_template(weights: Weights, folder: Path) -> None:
    """Another family's: plain roles instead of ChatML."""
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}### {{ m['role'] }}:\n{{ m['content'] }}\n\n{% endfor %}"
        "{% if add_generation_prompt %}### assistant:\n{% endif %}"
    )


def stop_token(weights: Weights, folder: Path) -> None:
    """The id after the right one."""
    for name in ("config.json", "generation_config.json"):
        file = folder / name
        _edit(file, eos_token_id=json.loads(file.read_text())["eos_token_id"] + 1)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    end = json.loads((folder / "config.json").read_text())["eos_token_id"]
    names = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    _edit(folder / "tokenizer_config.json", eos_token=names[end])


def mixed_up_heads(weights: Weights, folder: Path) -> None:
    """One projection of one layer with its rows in the wrong order, as a bad conversion leaves."""
    name = f"model.layers.{_layers(weights) // 2}.self_attn.q_proj.weight"
    weights[name] = weights[name].roll(64, dims=0)


def nothing(weights: Weights, folder: Path) -> None:
    """The checkpoint itself."""


def _edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes, indent=1))


FAULTS: dict[str, Change] = {
    change.__name__.replace("_", "-"): change
    for change in (
        *(nothing, eight_bits, scaled_layer, scaled_norm, dropped_layer, smaller_model),
        *(three_bits, rope_theta, swapped_tokens, chat_template, stop_token, mixed_up_heads),
    )
}


def main() -> None:
    """{"model": FOLDER, "out": FOLDER, "fault": NAME} on stdin."""
    job = json.load(sys.stdin)
    source, out = Path(job["model"]), Path(job["out"])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            shutil.copy(file, out / file.name)
    weights = {
        name: tensor
        for file in sorted(source.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    FAULTS[job["fault"]](weights, out)
    whole = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(whole, out / "model.safetensors", metadata={"format": "pt"})
    print(json.dumps({"result": {"tensors": len(whole)}}), flush=True)


if __name__ == "__main__":
    main()
