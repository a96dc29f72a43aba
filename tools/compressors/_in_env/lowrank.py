"""Low rank: SVD of linear layers weighted by their inputs, Tucker and CP of attention weights.

The weighting is SVD-LLM's: Wang et al., arXiv 2403.07378. The factors are multiplied back: the
engines here load dense checkpoints only, so that bytes and speed stay and quality alone is seen.
"""

from typing import Any

import torch
from network import InputMoments, Layered, say, used, windows

_DAMPENING = 0.01
_SEED = 0


def factorize(model: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Every linear layer of the decoder, in place; the factors' size is in the result."""
    if job["method"] == "svd":
        return _svd(model, job)
    return _tensors(model, job)


def _svd(model: Any, job: dict[str, Any]) -> dict[str, Any]:
    pieces = windows(job)
    layered = Layered(model, pieces)
    dense = factors = 0
    errors = {}
    for number, block in enumerate(layered.blocks, start=1):
        moments = InputMoments(block, full=True)
        layered.run(block, keep=False)
        seen = moments.close()
        found = []
        for name, module in block.linear():
            rows, columns = module.weight.shape
            rank = max(1, int(job["keep"] * rows * columns / (rows + columns)))
            near, error = svd(module.weight.data, seen[name], rank)
            module.weight.data.copy_(near)
            dense, factors = dense + rows * columns, factors + rank * (rows + columns)
            found.append(error)
        errors[str(number - 1)] = round(sum(found) / len(found), 4)
        layered.run(block, keep=True)
        say(progress=f"svd: слой {number} из {len(layered.blocks)}, {errors[str(number - 1)]}")
    return _result(dense, factors, errors) | used(job, pieces)


def svd(weight: Any, moment: Any, rank: int) -> tuple[Any, float]:
    """The best matrix of this rank for the inputs seen, and the error of its outputs."""
    moment = moment.clone()
    moment.diagonal().add_(_DAMPENING * moment.diagonal().mean() + 1e-8)
    scale = torch.linalg.cholesky(moment)
    left, values, right = torch.linalg.svd(weight @ scale, full_matrices=False)
    kept = (left[:, :rank] * values[:rank]) @ right[:rank]
    near = torch.linalg.solve_triangular(scale, kept, upper=False, left=False)
    lost = values[rank:].square().sum() / values.square().sum()
    return near, float(lost.sqrt())


def _tensors(model: Any, job: dict[str, Any]) -> dict[str, Any]:
    """q, k and v as (head, dimension, hidden), o as (hidden, head, dimension): three modes."""
    import tensorly
    from network import blocks

    tensorly.set_backend("pytorch")
    head_dim = getattr(model.config, "head_dim", None)
    head_dim = head_dim or model.config.hidden_size // model.config.num_attention_heads
    found = blocks(model)
    dense = factors = 0
    errors = {}
    for number, block in enumerate(found, start=1):
        lost = []
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weight = getattr(block.attention, name).weight.data
            shape = (-1, head_dim, weight.shape[1])
            shape = (weight.shape[0], -1, head_dim) if name == "o_proj" else shape
            tensor = weight.reshape(shape)
            near, size = decompose(tensor, job["method"], job["keep"])
            lost.append(float((near - tensor).norm() / tensor.norm()))
            weight.copy_(near.reshape(weight.shape))
            dense, factors = dense + weight.numel(), factors + size
        errors[str(number - 1)] = round(sum(lost) / len(lost), 4)
        say(progress=f"{job['method']}: слой {number} из {len(found)}, {errors[str(number - 1)]}")
    return _result(dense, factors, errors)


def decompose(tensor: Any, method: str, keep: float) -> tuple[Any, int]:
    """The tensor rebuilt from its factors, and how many numbers these have."""
    from tensorly import cp_to_tensor, tucker_to_tensor
    from tensorly.decomposition import parafac, tucker

    shape = tensor.shape
    if method == "cp":
        rank = max(1, int(keep * tensor.numel() / sum(shape)))
        # A random start: by SVD a rank above the smallest mode can't be begun.
        made = parafac(tensor, rank, n_iter_max=15, init="random", random_state=_SEED)
        return cp_to_tensor(made), rank * sum(shape)
    ranks = tucker_ranks(tuple(shape), keep)
    made = tucker(tensor, rank=list(ranks), n_iter_max=10, random_state=_SEED)
    core = ranks[0] * ranks[1] * ranks[2]
    return tucker_to_tensor(made), core + sum(n * r for n, r in zip(shape, ranks, strict=True))


def tucker_ranks(shape: tuple[int, ...], keep: float) -> tuple[int, int, int]:
    """The largest equal share of every mode whose factors take at most `keep` of the tensor."""
    total = shape[0] * shape[1] * shape[2]
    best = (1, 1, 1)
    for percent in range(1, 101):
        ranks = (
            max(1, shape[0] * percent // 100),
            max(1, shape[1] * percent // 100),
            max(1, shape[2] * percent // 100),
        )
        size = ranks[0] * ranks[1] * ranks[2] + sum(
            n * r for n, r in zip(shape, ranks, strict=True)
        )
        if size <= keep * total:
            best = ranks
    return best


def _result(dense: int, factors: int, errors: dict[str, float]) -> dict[str, Any]:
    return {
        "dense_parameters": dense,
        "factor_parameters": factors,
        "error_by_layer": errors,
        "form": "dense",
        "form_why": "движки читают только плотные веса: множители перемножены, размер прежний",
    }
