"""YAML files of facts, read fast: parsed by libyaml, and kept parsed beside Python's own caches.

Parsing all of them takes as long as everything else that an answer needs, so a folder's parsed form
is kept as one JSON file in its `__pycache__`, as Python keeps .pyc files: it is made anew when any
file's name, size or time differs, and not written where Python may not write bytecode.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from knowledge.errors import BadInput

_ROOT = Path(__file__).parent
_FORMAT = 1


def read_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """The mapping in each *.yaml of a folder by file name. Raises BadInput for a broken one."""
    paths = sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    parsed: dict[str, dict[str, Any]] = kept(
        folder / "facts.py", paths, lambda: {path.stem: read_file(path) for path in paths}
    )
    return parsed


def kept(beside: Path, sources: Sequence[Path], make: Callable[[], Any]) -> Any:
    """What `make` gives of `sources`, plain JSON, from the cache next to `beside` while they stay.

    Only the project's own folders are cached.
    """
    stamp = [_FORMAT, *([path.name, *_stamp(path)] for path in sources)]
    own = beside.is_relative_to(_ROOT.parent)
    cache = Path(cache_from_source(str(beside))).with_suffix(".json") if own else None
    found = _load(cache, stamp) if cache else None
    if found is None:
        found = make()
        if cache:
            _save(cache, stamp, found)
    return found


def read_file(path: Path) -> dict[str, Any]:
    """The mapping in one YAML file, dates as ISO text. Raises BadInput."""
    import yaml  # only where there is something to parse

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (safe)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{path.name}: {reason}", "Исправьте YAML в этом месте") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path.name}: это не набор «ключ: значение»", "Сравните с соседним файлом")
    plain = _plain(value)
    assert isinstance(plain, dict)
    return plain


def first_problem(error: Exception) -> str:
    """One line of what a type found wrong: the place and the reason, without its links."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _plain(value: object) -> object:
    """What JSON can hold: YAML's dates become text, keys become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _load(cache: Path, stamp: list[Any]) -> Any:
    try:
        known = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(known, dict) or known.get("stamp") != stamp:
        return None
    return known.get("facts")


def _save(cache: Path, stamp: list[Any], facts: Any) -> None:
    """Written aside and moved, so that two processes never read a half. A failure costs speed."""
    if sys.dont_write_bytecode:
        return
    aside = cache.with_suffix(f".{os.getpid()}.tmp")
    try:
        cache.parent.mkdir(exist_ok=True)
        aside.write_text(json.dumps({"stamp": stamp, "facts": facts}), encoding="utf-8")
        aside.replace(cache)
    except OSError:
        aside.unlink(missing_ok=True)
