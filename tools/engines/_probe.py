"""Flags of an engine that can only be asked in its own environment: asked once, then kept."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from tools.engines import _flags
from tools.engines.base import FlagCatalog, Progress
from tools.envs import Environment
from tools.home import Home
from tools.process import run_job

_DEADLINE_S = 180.0


async def catalog(  # noqa: PLR0913 - all by name
    engine: str,
    script: Path,
    env: Environment,
    home: Home,
    progress: Progress,
    *,
    also: Iterable[Path] = (),
    without: Iterable[str] = (),
    variables: Iterable[str] = (),
) -> FlagCatalog:
    """What `script` prints: {"version", "flags", "env"}. Kept per environment and script.

    `also`: files that the script's answer depends on. `without`: flags that are no user's.
    """
    snapshot = home.snapshots / f"{env.root.name}-{_state_of(env, script, *also)}.json"
    if snapshot.exists():
        return FlagCatalog.model_validate_json(snapshot.read_bytes())
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    progress(f"{engine}: читаем флаги установленной версии …")
    log = snapshot.with_suffix(".log")
    answer = await run_job(env.python, script, {}, log_path=log, deadline_s=_DEADLINE_S)
    hidden = set(without)
    flags = [flag for flag in _flags.flags_of(answer["flags"]) if flag.name not in hidden]
    catalog = FlagCatalog(
        engine=engine,
        version=answer["version"],
        flags={flag.name: flag for flag in flags},
        env=tuple(sorted({*answer.get("env", ()), *variables})),
    )
    half = snapshot.with_suffix(f".{os.getpid()}.half")
    half.write_text(catalog.model_dump_json())
    half.replace(snapshot)
    return catalog


def _state_of(env: Environment, *scripts: Path) -> str:
    """Changes with what is installed and with the scripts that read it."""
    state = repr(sorted(env.versions.items())).encode()
    return hashlib.sha256(state + b"".join(p.read_bytes() for p in scripts)).hexdigest()[:12]
