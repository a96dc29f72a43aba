"""Options of the simulated server. The names are vLLM's where vLLM has them."""

import argparse
import json
from typing import Any

ENVIRONMENT = ("SIM_THREADS", "SIM_KVCACHE_TOKENS")
_SWITCH = argparse.BooleanOptionalAction


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    _place(parser)
    _engine(parser)
    _world(parser)
    _faults(parser)
    return parser


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)


def _engine(parser: argparse.ArgumentParser) -> None:
    dtypes = ["auto", "float32", "bfloat16", "float16"]
    parser.add_argument("--dtype", choices=dtypes, default="auto", help="auto is float32")
    parser.add_argument("--max-model-len", type=int, default=8192)
    parser.add_argument("--max-num-seqs", type=int, default=16)
    parser.add_argument("--max-num-batched-tokens", type=int, default=512)
    parser.add_argument("--enable-chunked-prefill", action=_SWITCH, default=True)
    parser.add_argument("--enable-prefix-caching", action=_SWITCH, default=True)
    parser.add_argument("--enforce-eager", action=_SWITCH, default=False)
    parser.add_argument("--async-scheduling", action=_SWITCH, default=False)
    parser.add_argument("--kv-cache-dtype", choices=["auto", "fp8"], default="auto")
    parser.add_argument("--scheduling-policy", choices=["fcfs", "priority"], default="fcfs")
    parser.add_argument("--quantization", choices=["none", "w8a8", "int4"], default="none")
    parser.add_argument(
        "--tensor-parallel-size", type=int, default=1, help="Takes GPUs; changes no speed"
    )
    parser.add_argument("--distributed-executor-backend", choices=["mp", "ray"], default="mp")
    parser.add_argument(
        "--speculative-config",
        type=_json,
        help='{"method": "ngram", "num_speculative_tokens": 3}',
    )


def _world(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--time-scale", type=float, default=1.0, help="0.1: ten times as fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=0.0, help="Relative spread of a step's time")
    parser.add_argument(
        "--launch-noise", type=float, default=0.0, help="Relative spread between launches"
    )
    parser.add_argument(
        "--drift", type=float, default=0.0, help="The machine slows down and recovers by this share"
    )
    parser.add_argument("--drift-period-s", type=float, default=60.0)


def _faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--slow-start-s", type=float, default=0.0)
    parser.add_argument("--hang-at-start", action=_SWITCH, default=False)
    parser.add_argument("--oom-at-start", action=_SWITCH, default=False)
    parser.add_argument("--crash-after-s", type=float, help="Counted from being ready")
    parser.add_argument(
        "--ignore-max-tokens", action=_SWITCH, default=False, help="Answers half as long as asked"
    )


def _json(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("a JSON object is needed")
    return value
