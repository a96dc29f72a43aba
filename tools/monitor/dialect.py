"""How an engine calls what is watched: one file under dialects/ adds one engine."""

from datetime import date
from functools import cache
from pathlib import Path

import yaml

from knowledge.types import Frozen
from tools.monitor.exposition import Scrape

DIALECTS = Path(__file__).parent / "dialects"


class Counted(Frozen):
    """A counter, or those series of it whose label has one of the values."""

    name: str
    label: str | None = None
    values: tuple[str, ...] = ()


class Source(Frozen):
    """Where the names come from; `checked`: seen in the /metrics of a running server."""

    title: str
    date: date
    checked: bool


class Dialect(Frozen):
    """Names of histograms (ttft to output_tokens), gauges and counters; None: it has no such."""

    sign: str
    """With this its metrics begin."""
    ttft: str | None = None
    tpot: str | None = None
    e2e: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    running: str | None = None
    waiting: str | None = None
    kv_usage: str | None = None
    preemptions: str | None = None
    generated: str | None = None
    finished: Counted | None = None
    failed: Counted | None = None
    source: Source


@cache
def dialects() -> dict[str, Dialect]:
    """All that are known, by the engine's name."""
    return {
        path.stem: Dialect.model_validate(yaml.safe_load(path.read_text("utf-8")))
        for path in sorted(DIALECTS.glob("*.yaml"))
    }


def recognize(scrape: Scrape) -> str | None:
    """The engine whose metrics these are."""
    return next((name for name, one in dialects().items() if scrape.has(one.sign)), None)
