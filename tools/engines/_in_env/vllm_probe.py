"""Prints what the installed vLLM accepts: flags of its own parser, names of its variables.

A job script: runs in vLLM's environment, {"result": …} on stdout.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # jobs run with -P
from parser_rows import describe


def _probe() -> dict[str, Any]:
    sys.argv = ["vllm", "--help"]  # vLLM reads its help texts only when help is asked for
    import vllm
    from vllm import envs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    try:
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
    except ImportError:  # where 0.26 to 0.31 have it
        from vllm.entrypoints.openai.cli_args import make_arg_parser

    parser = make_arg_parser(FlexibleArgumentParser())
    return {
        "version": vllm.__version__,
        "flags": describe(parser),
        "env": sorted(envs.environment_variables),
    }


if __name__ == "__main__":
    print(json.dumps({"result": _probe()}), flush=True)
