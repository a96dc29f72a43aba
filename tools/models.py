"""From what the user typed to a model on disk that was looked at."""

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from knowledge.errors import BadModel
from knowledge.memory import weights_bytes
from knowledge.model_facts import facts_from_config
from knowledge.types import ModelSpec
from tools import demo_model, gguf
from tools.home import Home
from tools.safetensors import read_header, weight_files

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SAMPLES_PER_FILE = 64
_SAMPLE_BYTES = 4096


async def resolve(
    name: str,
    home: Home,
    progress: Callable[[str], None],
    *,
    dummy_weights: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> ModelSpec:
    """A folder, a .gguf file, a hub id that was downloaded before, or "demo". Raises BadModel.

    "demo" and a .gguf file are converted to a normal checkpoint once and kept. `dummy_weights`:
    the folder is a shape, and its weights are random wherever it is served.
    """
    path = Path(name).expanduser()
    file: Path | None = None
    if name == demo_model.NAME and not path.exists():
        folder, title = await demo_model.ensure(home, progress), demo_model.TITLE
        kept = demo_model.gguf_file(home)
        file = kept if kept.is_file() else None
    elif path.suffix == ".gguf" and path.is_file():
        folder, title = await gguf.ensure_converted(path, home, progress), path.stem
        file = path.absolute()
    elif path.is_dir():
        folder, title = path, path.resolve().name
    elif _HUB_ID.fullmatch(name) and (downloaded := _in_hub_cache(name, environ)):
        folder, title = downloaded, name
    else:
        raise _not_a_model(name, path)
    model = await asyncio.to_thread(look_at, folder, title, dummy_weights)
    return model.replace(gguf=str(file)) if file else model


def look_at(folder: Path, name: str, dummy_weights: bool = False) -> ModelSpec:
    """Read the folder without loading the weights. Raises BadModel for what can't be served."""
    folder = folder.absolute()
    config_text = _required(folder, "config.json")
    try:
        config = json.loads(config_text)
    except ValueError as error:
        raise BadModel(
            f"Файл {folder / 'config.json'} — не JSON: {error}", "Скачайте его заново"
        ) from None
    if not isinstance(config, dict):
        raise BadModel(f"Файл {folder / 'config.json'} — не объект JSON", "Скачайте его заново")
    tokenizer = _required(folder, "tokenizer.json")
    digest = hashlib.sha256(config_text + tokenizer)
    facts = facts_from_config(config)
    if dummy_weights:
        return ModelSpec(
            name=name,
            path=str(folder),
            fingerprint=digest.hexdigest()[:16],
            weights_bytes=weights_bytes(facts, facts.dtype),
            facts=facts,
            dummy_weights=True,
        )
    total = 0
    for file in weight_files(folder):
        header = read_header(file)
        digest.update(header + _sampled(file))
        total += file.stat().st_size - 8 - len(header)
    return ModelSpec(
        name=name,
        path=str(folder),
        fingerprint=digest.hexdigest()[:16],
        weights_bytes=total,
        facts=facts,
    )


def _required(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise BadModel(
            f"Папка {folder} — не модель: в ней нет {name}",
            "Нужны config.json, tokenizer.json и *.safetensors в одной папке",
        ) from None


def _sampled(file: Path) -> bytes:
    """Pieces spread over the whole file: another set of weights differs in nearly all of them."""
    size = file.stat().st_size
    pieces = []
    with file.open("rb") as opened:
        for number in range(_SAMPLES_PER_FILE):
            opened.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES_PER_FILE - 1))
            pieces.append(opened.read(_SAMPLE_BYTES))
    return b"".join(pieces)


def _in_hub_cache(name: str, environ: Mapping[str, str]) -> Path | None:
    """The snapshot that `hf download` left: models--ORG--NAME/refs/main names it."""
    user = Path(environ.get("HOME") or Path.home())
    root = Path(environ.get("HF_HOME") or user / ".cache" / "huggingface")
    cache = Path(environ.get("HF_HUB_CACHE") or root / "hub")
    repository = cache / f"models--{name.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text().strip()
    except FileNotFoundError:
        return None
    snapshot = repository / "snapshots" / revision
    return snapshot if snapshot.is_dir() else None


def downloaded(name: str, *, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of a hub id that was downloaded before; None for anything else."""
    return _in_hub_cache(name, environ) if _HUB_ID.fullmatch(name) else None


def _not_a_model(name: str, path: Path) -> BadModel:
    if path.is_file():
        return BadModel(
            f"{name} — файл, а не папка модели", "Укажите папку с config.json или файл .gguf"
        )
    if path.suffix == ".gguf":
        return BadModel(f"Файла {name} нет", "Проверьте путь")
    if _HUB_ID.fullmatch(name) and not path.parent.is_dir():
        return BadModel(
            f"Модели {name} нет на этой машине",
            f"Скачайте её: hf download {name}, затем укажите папку или тот же id",
        )
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, [demo_model.NAME, *beside], n=1)
    hint = f"Может быть, {near[0]}?" if near else "Укажите папку модели, id с хаба или demo"
    return BadModel(f"Модели {name} нет: такой папки нет", hint)
