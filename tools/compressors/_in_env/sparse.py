"""Zeros in the weights: magnitude, Wanda and SparseGPT; unstructured or two of every four.

Wanda: Sun et al., arXiv 2306.11695. SparseGPT: Frantar and Alistarh, arXiv 2301.00774.
"""

from typing import Any

import torch
from network import Block, InputMoments, Layered, blocks, say, used, windows

_BLOCK_COLUMNS = 128
_DAMPENING = 0.01


def prune(model: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Zero the asked share of every linear layer of the decoder. The head stays as it is."""
    found = blocks(model)
    result: dict[str, Any] = {}
    if job["method"] == "magnitude":
        for number, block in enumerate(found, start=1):
            for _, module in block.linear():
                zero(module.weight.data, module.weight.data.abs(), job)
            say(progress=f"magnitude: слой {number} из {len(found)}")
    else:
        pieces = windows(job)
        result |= used(job, pieces)
        _with_text(model, pieces, job)
    return result | {"sparsity": round(sparsity_of(found), 4)}


def _with_text(model: Any, pieces: list[list[int]], job: dict[str, Any]) -> None:
    layered = Layered(model, pieces)
    full = job["method"] == "sparsegpt"
    for number, block in enumerate(layered.blocks, start=1):
        moments = InputMoments(block, full=full)
        layered.run(block, keep=False)
        seen = moments.close()
        for name, module in block.linear():
            weight = module.weight.data
            if full:
                weight.copy_(sparsegpt(weight, seen[name], job))
            else:
                zero(weight, weight.abs() * seen[name].sqrt(), job, by_row=True)
        layered.run(block, keep=True)
        say(progress=f"{job['method']}: слой {number} из {len(layered.blocks)}")


def mask_of(score: Any, job: dict[str, Any], *, by_row: bool = False) -> Any:
    """True where a weight stays: the highest scores of the matrix, row, or group of four."""
    if job["scheme"] == "2-4":
        groups = score.reshape(-1, 4)
        keep = torch.zeros_like(groups, dtype=torch.bool)
        keep.scatter_(1, groups.topk(2, dim=1).indices, value=True)
        return keep.reshape(score.shape)
    rows = score if by_row else score.reshape(1, -1)
    gone = round(rows.shape[1] * job["sparsity"])
    keep = torch.ones_like(rows, dtype=torch.bool)
    if gone:
        keep.scatter_(1, rows.topk(gone, dim=1, largest=False).indices, value=False)
    return keep.reshape(score.shape)


def zero(weight: Any, score: Any, job: dict[str, Any], *, by_row: bool = False) -> None:
    """In place."""
    weight.mul_(mask_of(score, job, by_row=by_row))


def sparsegpt(weight: Any, hessian: Any, job: dict[str, Any]) -> Any:
    """Columns from left to right; the error of each is made up for by those after it."""
    weight, hessian = weight.clone(), hessian.clone()
    dead = hessian.diagonal() == 0
    hessian[dead, dead] = 1
    weight[:, dead] = 0
    columns = weight.shape[1]
    hessian.diagonal().add_(_DAMPENING * hessian.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    inverse = torch.linalg.cholesky(inverse, upper=True)
    for start in range(0, columns, _BLOCK_COLUMNS):
        end = min(start + _BLOCK_COLUMNS, columns)
        part, local = weight[:, start:end].clone(), inverse[start:end, start:end]
        score = part.square() / local.diagonal().square()
        keep = mask_of(score, job)
        errors = torch.zeros_like(part)
        for i in range(end - start):
            pruned = part[:, i] * keep[:, i]
            errors[:, i] = (part[:, i] - pruned) / local[i, i]
            part[:, i:] -= errors[:, i : i + 1] @ local[i : i + 1, i:]
            part[:, i] = pruned
        weight[:, start:end] = part
        weight[:, end:] -= errors @ inverse[start:end, end:]
    return weight


def sparsity_of(found: list[Block]) -> float:
    """Share of exact zeros in the decoder's linear layers."""
    weights = [module.weight for block in found for _, module in block.linear()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return float(zeros / sum(weight.numel() for weight in weights))
