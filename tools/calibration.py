"""Calibration text: the user's own workload first, else real text that every Python carries.

A user's text is kept under its hash and a recipe names the hash: the same text gives the same
artifact wherever it was read from, and a resume finds it again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from knowledge.errors import BadInput
from tools.home import Home
from tools.load import load_trace
from tools.load.corpus import PROMPT_PART, load_text, sha256
from tools.load.tokenizer import Tokenizer

OPTION = "calibration"
_BUILT_IN = "справка и исходники стандартной библиотеки Python"
_PLAIN = (".txt", ".md", ".text")


@dataclass(frozen=True)
class Calibration:
    """Text, where it is from, and its hash."""

    text: str
    source: str
    sha256: str


def keep(path: Path, home: Home) -> str:
    """Store the text of a file and return its hash, the value of the option `calibration`.

    A plain text file as it is; any workload file (JSONL, ShareGPT…) gives its prompts. Raises
    BadInput or BadWorkload.
    """
    if not path.is_file():
        raise BadInput(f"нет файла калибровки {path}", "Укажите .txt или файл нагрузки .jsonl")
    if path.suffix.lower() in _PLAIN:
        text = path.read_text(encoding="utf-8", errors="replace")
    else:
        text = "\n\n".join(row.text for row in load_trace(path) if row.text)
    if not text.strip():
        raise BadInput(f"в файле {path} нет текста", "Калибровке нужны запросы целиком")
    return keep_text(text, path.name, home)


def keep_text(text: str, source: str, home: Home) -> str:
    """Store a text under its hash; told apart from half a file by its rename."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((f"{digest}.source", source), (f"{digest}.txt", text)):
        half = folder / f"{name}.half"
        half.write_text(content, encoding="utf-8")
        half.replace(folder / name)
    return digest


def of(options: Mapping[str, object], home: Home) -> Calibration:
    """The text that a recipe asks for. Raises BadInput when a kept one is gone."""
    digest = options.get(OPTION)
    if digest is None:
        # Never the held-out part: quality is scored on that.
        return Calibration(load_text(PROMPT_PART), _BUILT_IN, sha256(PROMPT_PART))
    file = _folder(home) / f"{digest}.txt"
    try:
        text = file.read_text(encoding="utf-8")
        source = file.with_suffix(".source").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(
            f"калибровочного текста {str(digest)[:12]} нет в {file.parent}",
            "Дайте файл заново: --calibration ФАЙЛ",
        ) from None
    return Calibration(text, source, str(digest))


def samples_in(text: Calibration, model_folder: Path, tokens: int) -> int:
    """How many whole pieces of so many tokens the text holds."""
    return len(Tokenizer.from_folder(model_folder).encode(text.text)) // tokens


def _folder(home: Home) -> Path:
    return home.cache / "calibration"
