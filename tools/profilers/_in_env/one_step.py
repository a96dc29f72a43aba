"""One step of a vLLM engine between cudaProfilerStart and cudaProfilerStop, and nothing else.

In the environment of the engine, under Nsight Compute: `one_step.py PHASE SEQUENCES TOKENS ARGS`.
PHASE is prefill or decode, ARGS are those of vLLM's server as JSON. CUDA graphs and
compilation are off: a counter belongs to a kernel that is launched by itself.
"""

import faulthandler
import json
import os
import sys
from typing import Any

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

_LEAST_ID = 1000
_STEPS_BEFORE = 3
_MOST_STEPS = 10_000
_STUCK_S = 120


class Engine:
    """vLLM's synchronous engine in this process, one step at a time."""

    def __init__(self, arguments: list[str]) -> None:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.utils.argparse_utils import FlexibleArgumentParser
        from vllm.v1.engine.llm_engine import LLMEngine

        parser = EngineArgs.add_cli_args(FlexibleArgumentParser(add_help=False, allow_abbrev=False))
        known, _ = parser.parse_known_args(arguments)  # the rest concerns the HTTP server
        settings = EngineArgs.from_cli_args(known)
        settings.enforce_eager = True
        settings.enable_prefix_caching = False
        self.engine = LLMEngine.from_engine_args(settings)
        self.asked = 0

    def ask(self, input_tokens: int, output_tokens: int) -> str:
        from vllm import SamplingParams

        self.asked += 1
        ids = [
            _LEAST_ID + (self.asked * 7919 + place * 31) % 20_000 for place in range(input_tokens)
        ]
        params = SamplingParams(
            temperature=0.0, max_tokens=output_tokens, min_tokens=output_tokens, ignore_eos=True
        )
        name = str(self.asked)
        self.engine.add_request(name, {"prompt_token_ids": ids}, params)
        return name

    def step(self) -> list[Any]:
        return list(self.engine.step())

    def until_all_write(self, names: set[str]) -> None:
        """Steps until each of the requests has written a token."""
        writing: set[str] = set()
        for _ in range(_MOST_STEPS):
            writing |= {one.request_id.split("-")[0] for one in self.step() if one.outputs}
            if names <= writing:
                return
        raise SystemExit(f"requests that never wrote: {sorted(names - writing)[:5]}")


def main() -> None:
    """Warm up, reach the phase, let one step be counted."""
    import torch

    phase, sequences, tokens, arguments = sys.argv[1:]
    faulthandler.dump_traceback_later(_STUCK_S, repeat=True)
    engine = Engine(json.loads(arguments))
    engine.until_all_write({engine.ask(int(tokens), 8)})  # kernels are compiled and chosen here
    while engine.engine.has_unfinished_requests():
        engine.step()
    names = {engine.ask(int(tokens), 64) for _ in range(int(sequences))}
    if phase == "decode":
        engine.until_all_write(names)
        for _ in range(_STEPS_BEFORE):
            engine.step()
    profiled = torch.cuda.is_available()
    if profiled:
        torch.cuda.synchronize()
        torch.cuda.profiler.start()
    engine.step()
    if profiled:
        torch.cuda.synchronize()
        torch.cuda.profiler.stop()
    print(json.dumps({"phase": phase, "sequences": int(sequences), "tokens": int(tokens)}))
    sys.stdout.flush()
    os._exit(0)  # the engine's threads would keep the interpreter


if __name__ == "__main__":
    main()
