"""Options of the naive reference server. Standard library only: the adapter reads them too."""

import argparse


def build_parser() -> argparse.ArgumentParser:
    """What may follow the script's name."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="Folder of the checkpoint")
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--dtype",
        choices=["auto", "float32", "bfloat16", "float16"],
        default="auto",
        help="auto is the checkpoint's own",
    )
    parser.add_argument("--threads", type=int, help="CPU threads of torch; default: its own")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--load-format", choices=["auto", "dummy"], default="auto")
    parser.add_argument("--attn-implementation", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument(
        "--device-memory-gib",
        type=float,
        help="GiB of weights on the GPU; Accelerate brings the rest from host memory by layer",
    )
    parser.add_argument(
        "--host-memory-gib",
        type=float,
        help="GiB of weights in host memory; Accelerate reads the rest from disk by layer",
    )
    return parser
