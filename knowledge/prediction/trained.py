"""What was learned, as it is kept: knowledge/prediction/trained/{model.json, cells.npz}."""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.errors import AdvisorError
from knowledge.prediction.features import (
    NAMES,
    NUMBERS,
    TPOT_TERMS,
    TTFT_TERMS,
    Described,
    first_guess_ms,
)
from knowledge.prediction.kernel import STRUCTURE, Array, Inputs, Kernel

FOLDER = Path(__file__).parent / "trained"


@dataclass(frozen=True)
class Target:
    """One time (TPOT or TTFT): log residual of the first guess."""

    centre: float
    kernel: Kernel
    widen: float
    """Factor on the standard deviation that made 90 % intervals hold on deployments left out."""


@dataclass(frozen=True)
class Trained:
    """Everything a prediction needs."""

    efficiencies: tuple[float, ...]
    """Of the terms of TPOT."""
    ttft_efficiencies: tuple[float, ...]
    tpot: Target
    ttft: Target
    vocabularies: tuple[tuple[str, ...], ...]
    inputs: Inputs
    tpot_residuals: Array
    ttft_residuals: Array
    origin: dict[str, Any]
    """Source, digest of its rows, counts, date and the command that makes it again."""

    def guess_log(self, described: Described) -> tuple[float, float]:
        """Logs of the TPOT and TTFT that the residuals are added to."""
        tpot, ttft = np.log(first_guess_ms(described, self.efficiencies, self.ttft_efficiencies))
        return float(tpot) + self.tpot.centre, float(ttft) + self.ttft.centre


@lru_cache(maxsize=1)
def load(folder: Path = FOLDER) -> Trained:
    """The kept training. Raises AdvisorError when it belongs to other features."""
    with (folder / "model.json").open(encoding="utf-8") as opened:
        kept = json.load(opened)
    if kept["structure"] != structure():
        raise AdvisorError(
            "обученный предсказатель не подходит к этой версии программы",
            "Обучите заново: python -m advisor.prediction.train",
        )
    with np.load(folder / "cells.npz") as cells:
        numbers = cells["numbers"].astype(np.float64)
        inputs = Inputs(numbers, cells["codes"].astype(np.int64))
        tpot, ttft = cells["tpot"].astype(np.float64), cells["ttft"].astype(np.float64)
    return Trained(
        efficiencies=tuple(kept["efficiencies"]),
        ttft_efficiencies=tuple(kept["ttft_efficiencies"]),
        tpot=target_from(kept["tpot"]),
        ttft=target_from(kept["ttft"]),
        vocabularies=tuple(tuple(words) for words in kept["vocabularies"]),
        inputs=inputs,
        tpot_residuals=tpot,
        ttft_residuals=ttft,
        origin=kept["origin"],
    )


def save(trained: Trained, folder: Path = FOLDER) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {
        "origin": trained.origin,
        "structure": structure(),
        "efficiencies": trained.efficiencies,
        "ttft_efficiencies": trained.ttft_efficiencies,
        "tpot": asdict(trained.tpot),
        "ttft": asdict(trained.ttft),
        "vocabularies": trained.vocabularies,
    }
    text = json.dumps(kept, ensure_ascii=False, indent=1)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")
    np.savez_compressed(
        folder / "cells.npz",
        numbers=trained.inputs.numbers.astype(np.float32),
        codes=trained.inputs.codes.astype(np.int16),
        tpot=trained.tpot_residuals.astype(np.float32),
        ttft=trained.ttft_residuals.astype(np.float32),
    )


def target_from(kept: dict[str, Any]) -> Target:
    """A target from its JSON."""
    kernel = kept["kernel"]
    return Target(
        centre=kept["centre"],
        widen=kept["widen"],
        kernel=Kernel(
            amplitudes=tuple(kernel["amplitudes"]),
            lengths=tuple(tuple(row) for row in kernel["lengths"]),
            noise=kernel["noise"],
            noise_when_full=kernel["noise_when_full"],
        ),
    )


def structure() -> list[Any]:
    """The features and kernel that what was learned fits, and no others; plain JSON."""
    terms = [[list(names), list(over)] for names, over, _ in STRUCTURE]
    return [list(NUMBERS), list(NAMES), list(TPOT_TERMS), list(TTFT_TERMS), terms]
