"""Fine-tuning in a few steps: healing, distillation, and pruning round by round.

Distillation: Hinton et al., arXiv 1503.02531 (the loss is scaled by T squared). Rewinding: Frankle
et al., arXiv 1903.01611. Every few steps the state goes to the disk; a new run goes on from there.
"""

import random
from pathlib import Path
from typing import Any

import sparse
import torch
import torch.nn.functional as nn
from network import blocks, load, loss_of, say, used, windows
from structured import drop_layers

_EVERY = 5
_HELD_OUT = 4


class Trainer:
    """AdamW over random batches; the order depends on the step alone, so a resume repeats it."""

    def __init__(self, model: Any, pieces: list[list[int]], job: dict[str, Any]) -> None:
        self.model = model
        self.job = job
        self.pieces, self.held_out = pieces[_HELD_OUT:], pieces[:_HELD_OUT]
        self.teacher: Any = None
        self.layer_map: list[int] = []
        self.masks: dict[str, Any] = {}
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=job["lr"], weight_decay=0.0)
        self.file = Path(job["checkpoint"]) / "state.pt"

    def restore(self, stage: int) -> int:
        """The step to go on from in this stage; 0 when nothing was kept for it."""
        if not self.file.exists():
            return 0
        kept = torch.load(self.file, map_location="cpu", weights_only=True)
        if kept["stage"] != stage:
            return 0
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.masks = kept["masks"]
        say(progress=f"продолжаю с шага {kept['step']}")
        return int(kept["step"])

    def keep(self, stage: int, step: int) -> None:
        """Whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        half = self.file.with_suffix(".half")
        state = {
            "stage": stage,
            "step": step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "masks": self.masks,
        }
        torch.save(state, half)
        half.replace(self.file)

    def run(self, stage: int, steps: int, start: int = 0) -> float | None:
        """Train up to `steps`; the last loss."""
        loss = None
        for step in range(start, steps):
            self.model.train()
            batch = self._batch(stage, step)
            value = self._loss(batch)
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self._warm_up(step)
            self.optimizer.step()
            self.apply_masks()
            loss = float(value.detach())
            if not torch.isfinite(value.detach()):
                raise ValueError(f"the loss is {loss} at step {step + 1}: lower lr")
            say(progress=f"шаг {step + 1} из {steps}: loss {loss:.4f}", loss=loss, step=step + 1)
            if (step + 1) % _EVERY == 0 and step + 1 < steps:
                self.keep(stage, step + 1)
        self.model.eval()
        return loss

    @torch.no_grad()
    def apply_masks(self) -> None:
        """What was pruned stays zero."""
        for name, parameter in self.model.named_parameters():
            if name in self.masks:
                parameter.mul_(self.masks[name])

    def _warm_up(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.job["lr"] * min(1.0, (step + 1) / 5)

    def _batch(self, stage: int, step: int) -> Any:
        chosen = random.Random(f"{stage}-{step}").sample(
            self.pieces, min(self.job["batch"], len(self.pieces))
        )
        return torch.tensor(chosen)

    def _loss(self, ids: Any) -> Any:
        if self.teacher is None:
            return self.model(ids, labels=ids).loss
        hidden = bool(self.job["hidden_weight"])
        with torch.inference_mode():
            taught = self.teacher(ids, output_hidden_states=hidden)
        mine = self.model(ids, output_hidden_states=hidden)
        heat = self.job["temperature"]
        loss = heat**2 * nn.kl_div(
            nn.log_softmax(mine.logits / heat, -1).flatten(0, 1),
            nn.log_softmax(taught.logits.clone() / heat, -1).flatten(0, 1),
            reduction="batchmean",
            log_target=True,
        )
        if hidden:
            loss = loss + self.job["hidden_weight"] * self._hidden(mine, taught)
        return loss

    def _hidden(self, mine: Any, taught: Any) -> Any:
        """How far the layers' outputs are from the teacher's, relative to their size."""
        parts = []
        for own, theirs in enumerate(self.layer_map):
            target = taught.hidden_states[theirs + 1].clone()
            parts.append(nn.mse_loss(mine.hidden_states[own + 1], target) / target.square().mean())
        return torch.stack(parts).mean()


def heal(model: Any, job: dict[str, Any], dropped: list[int]) -> dict[str, Any]:
    """After a cut: a few steps towards the original's answers. Nothing with steps=0.

    dropped: layers of the original that are gone.
    """
    if not job["steps"]:
        return {}
    trainer = Trainer(model, windows(job, _HELD_OUT), job)
    trainer.teacher = load(job["model"])
    depth = len(blocks(trainer.teacher))
    trainer.layer_map = [i for i in range(depth) if i not in dropped]
    before = loss_of(model, trainer.held_out)
    trainer.run(0, job["steps"], trainer.restore(0))
    return _summary(trainer, before)


def distill(model: Any, job: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The teacher's distribution and hidden states into a shallower copy, or a given student."""
    student, layer_map = _student(model, job)
    trainer = Trainer(student, windows(job, _HELD_OUT), job)
    trainer.teacher, trainer.layer_map = model, layer_map
    before = loss_of(student, trainer.held_out)
    trainer.run(0, job["steps"], trainer.restore(0))
    facts = {"layers": [len(blocks(model)), len(blocks(student))]}
    return student, facts | _summary(trainer, before)


def _student(teacher: Any, job: dict[str, Any]) -> tuple[Any, list[int]]:
    """Evenly spread layers of the teacher, or the model of a folder with the same vocabulary."""
    depth = len(blocks(teacher))
    if job["student"]:
        student = load(job["student"])
        if student.config.vocab_size != teacher.config.vocab_size:
            raise ValueError("student and teacher have different vocabularies")
        if job["hidden_weight"] and student.config.hidden_size != teacher.config.hidden_size:
            raise ValueError("hidden states of different sizes: set hidden_weight=0")
        own = len(blocks(student))
        return student, [round((i + 1) * depth / own) - 1 for i in range(own)]
    student = load(job["model"])
    left = max(1, round((1 - job["ratio"]) * depth))
    kept = sorted({round(i * (depth - 1) / max(1, left - 1)) for i in range(left)})
    drop_layers(student, kept)
    return student, kept


def iterative(model: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Prune a little, heal, prune more; `rewind` takes the weights back to the start each time."""
    trainer = Trainer(model, windows(job, _HELD_OUT), job)
    trainer.teacher = load(job["model"])
    trainer.layer_map = list(range(len(blocks(model))))
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    before = loss_of(model, trainer.held_out)
    rounds = []
    for number in range(job["rounds"]):
        share = 1 - (1 - job["sparsity"]) ** ((number + 1) / job["rounds"])
        done = trainer.restore(number)
        if not done:
            if _later(trainer, number):
                continue
            _cut(model, trainer, job | {"scheme": "unstructured", "sparsity": share}, start)
        trainer.run(number, job["steps"], done)
        trainer.keep(number, job["steps"])
        rounds.append([round(share, 4), round(loss_of(model, trainer.held_out), 4)])
        say(progress=f"круг {number + 1} из {job['rounds']}: нулей {share:.0%}, {rounds[-1][1]}")
    facts = {"rounds": rounds, "sparsity": round(sparse.sparsity_of(blocks(model)), 4)}
    return facts | _summary(trainer, before)


def _later(trainer: Trainer, number: int) -> bool:
    """Whether the kept state is of a later round, so that this one is done."""
    if not trainer.file.exists():
        return False
    return bool(torch.load(trainer.file, weights_only=True)["stage"] > number)


@torch.no_grad()
def _cut(model: Any, trainer: Trainer, job: dict[str, Any], start: dict[str, Any]) -> None:
    for block in blocks(model):
        for name, module in block.linear():
            whole = f"{block.name}.{name}.weight"
            trainer.masks[whole] = sparse.mask_of(module.weight.abs(), job)
    if job["rewind"]:
        for name, parameter in model.named_parameters():
            parameter.copy_(start[name])
    trainer.apply_masks()
    trainer.optimizer = torch.optim.AdamW(model.parameters(), lr=job["lr"], weight_decay=0.0)


def _summary(trainer: Trainer, before: float) -> dict[str, Any]:
    after = loss_of(trainer.model, trainer.held_out)
    facts = used(trainer.job, trainer.pieces)
    return facts | {"loss_before": round(before, 4), "loss_after": round(after, 4)}
