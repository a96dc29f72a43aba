"""A smaller dense network: whole layers, neurons of the feed-forward part, attention heads.

Layers by their influence on the hidden state: Men et al., ShortGPT, arXiv 2403.03853.
"""

from typing import Any

import torch
from network import InputMoments, Layered, say, used, windows


def prune(model: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Cut the asked share of the parts named by the method."""
    pieces = windows(job)
    cut = {"layers": layers, "neurons": neurons, "heads": heads}[job["method"]]
    before = model.num_parameters()
    result = cut(model, pieces, job["ratio"])
    return result | used(job, pieces) | {"parameters": [before, model.num_parameters()]}


def layers(model: Any, pieces: list[list[int]], ratio: float) -> dict[str, Any]:
    """Drop the layers whose output is most like their input (1 - cosine)."""
    layered = Layered(model, pieces)
    influence = []
    for number, block in enumerate(layered.blocks, start=1):
        before = list(layered.states)
        layered.run(block, keep=True)
        pairs = zip(before, layered.states, strict=True)
        alike = [torch.cosine_similarity(a, b, dim=-1).mean().item() for a, b in pairs]
        influence.append(1 - sum(alike) / len(alike))
        say(progress=f"влияние слоя {number} из {len(layered.blocks)}: {influence[-1]:.4f}")
    count = max(1, round(ratio * len(influence)))
    gone = sorted(range(len(influence)), key=influence.__getitem__)[:count]
    kept = [i for i in range(len(influence)) if i not in gone]
    drop_layers(model, kept)
    return {"dropped_layers": sorted(gone), "influence": [round(x, 4) for x in influence]}


def drop_layers(model: Any, kept: list[int]) -> None:
    """In place; caches are numbered anew."""
    model.model.layers = torch.nn.ModuleList([model.model.layers[i] for i in kept])
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = number
    model.config.num_hidden_layers = len(kept)
    if kinds := getattr(model.config, "layer_types", None):
        model.config.layer_types = [kinds[i] for i in kept]


def neurons(model: Any, pieces: list[list[int]], ratio: float) -> dict[str, Any]:
    """Drop the neurons that add least to the output: activation norm times the column's norm."""
    layered = Layered(model, pieces)
    width = model.config.intermediate_size
    step = 64 if width >= 512 else 8
    left = max(step, round((1 - ratio) * width / step) * step)
    for number, block in enumerate(layered.blocks, start=1):
        moments = InputMoments(block, full=False)
        layered.run(block, keep=False)
        seen = moments.close()["mlp.down_proj"]
        score = seen.sqrt() * block.mlp.down_proj.weight.norm(dim=0)
        kept = score.topk(left).indices.sort().values
        for part in (block.mlp.gate_proj, block.mlp.up_proj):
            _keep(part, rows=kept)
        _keep(block.mlp.down_proj, columns=kept)
        layered.run(block, keep=True)
        say(progress=f"нейроны: слой {number} из {len(layered.blocks)}, {width} → {left}")
    model.config.intermediate_size = left
    return {"intermediate_size": [width, left]}


def heads(model: Any, pieces: list[list[int]], ratio: float) -> dict[str, Any]:
    """Drop whole groups of query heads with the key and value head that they share."""
    config = model.config
    groups, per_group = config.num_key_value_heads, config.num_attention_heads
    per_group //= groups
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    left = groups - max(1, round(ratio * groups))
    if left < 1:
        raise ValueError(f"of {groups} key-value heads none would be left")
    layered = Layered(model, pieces)
    for number, block in enumerate(layered.blocks, start=1):
        moments = InputMoments(block, full=False)
        layered.run(block, keep=False)
        attention = block.attention
        column = moments.close()["self_attn.o_proj"] * attention.o_proj.weight.square().sum(0)
        score = column.reshape(groups, -1).sum(1)
        kept = score.topk(left).indices.sort().values
        inner = torch.arange(groups * head_dim).reshape(groups, head_dim)[kept].flatten()
        outer = torch.arange(groups * per_group * head_dim).reshape(groups, -1)[kept].flatten()
        _keep(attention.q_proj, rows=outer)
        _keep(attention.k_proj, rows=inner)
        _keep(attention.v_proj, rows=inner)
        _keep(attention.o_proj, columns=outer)
        layered.run(block, keep=True)
        say(progress=f"головы: слой {number} из {len(layered.blocks)}, групп {groups} → {left}")
    config.head_dim = head_dim
    config.num_key_value_heads = left
    config.num_attention_heads = left * per_group
    return {"kv_heads": [groups, left], "heads": [groups * per_group, left * per_group]}


def _keep(linear: Any, *, rows: Any = None, columns: Any = None) -> None:
    """Cut a linear layer down to some of its outputs or inputs."""
    weight = linear.weight.data
    if rows is not None:
        weight = weight[rows]
        if linear.bias is not None:
            linear.bias = torch.nn.Parameter(linear.bias.data[rows].clone())
    if columns is not None:
        weight = weight[:, columns]
    linear.weight = torch.nn.Parameter(weight.clone())
    linear.out_features, linear.in_features = weight.shape
