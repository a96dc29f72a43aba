"""The load generator: prompts of known length in, one sample with all its times per request out."""

from tools.load.generator import RoundOutcome, run_round
from tools.load.http import Response, fetch
from tools.load.probe import models, server_kind, wait_ready
from tools.load.prompts import Prompt, PromptSource
from tools.load.round import Enough
from tools.load.sweep import HighestLoad, LoadPoint, highest_load, knee, ladder
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.load.trace import TraceRow, load_trace, trace_sha256

__all__ = [
    "Enough",
    "HighestLoad",
    "LoadPoint",
    "Prompt",
    "PromptSource",
    "Response",
    "RoundOutcome",
    "Target",
    "Tokenizer",
    "TraceRow",
    "fetch",
    "highest_load",
    "knee",
    "ladder",
    "load_trace",
    "models",
    "run_round",
    "server_kind",
    "trace_sha256",
    "wait_ready",
]
