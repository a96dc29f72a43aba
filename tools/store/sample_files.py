"""Where the samples of trials lie when several machines share them: one Parquet file per trial."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from knowledge.types import RequestSample
from tools.objects import Objects
from tools.store import samples as rows


class SampleFiles(Protocol):
    """Both raise StoreError."""

    def write(self, trial_id: str, samples: Sequence[RequestSample]) -> None:
        """The whole file or none."""

    def read(self, trial_id: str) -> tuple[RequestSample, ...]:
        """Empty where nothing was written."""
        ...


@dataclass(frozen=True)
class InFolder:
    """A volume that all machines mount."""

    folder: Path

    def write(self, trial_id: str, samples: Sequence[RequestSample]) -> None:
        rows.write_parquet(self._file(trial_id), samples)

    def read(self, trial_id: str) -> tuple[RequestSample, ...]:
        file = self._file(trial_id)
        return rows.read_parquet(file) if file.exists() else ()

    def _file(self, trial_id: str) -> Path:
        return self.folder / f"{trial_id}.parquet"


@dataclass(frozen=True)
class InObjects:
    """An object storage, through a file of this machine."""

    objects: Objects

    def write(self, trial_id: str, samples: Sequence[RequestSample]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "samples.parquet"
            rows.write_parquet(file, samples)
            self.objects.put(file, _object(trial_id))

    def read(self, trial_id: str) -> tuple[RequestSample, ...]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "samples.parquet"
            found = self.objects.get(_object(trial_id), file)
            return rows.read_parquet(file) if found else ()


def _object(trial_id: str) -> str:
    return f"requests/{trial_id}.parquet"
