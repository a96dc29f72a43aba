"""Runs in the environment of ONNX Runtime's model builder: a checkpoint to a folder for genai.

Job: model, out, scheme, block_size. Result: seconds, what the nodes came to.
"""

import json
import os
import runpy
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# The builder prints to stdout as it likes; our lines get a channel of their own.
LINES = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

INT8_ACTIVATIONS = 4
"""MatMulNBits, accuracy_level: activations are quantized to INT8 as they come."""


def say(**line: Any) -> None:
    """One JSON line for the advisor."""
    LINES.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> None:
    """Build, count the nodes, report."""
    job = json.loads(sys.stdin.read())
    started = time.monotonic()
    say(progress=f"строю граф ONNX: {job['scheme']}, блоки по {job['block_size']}")
    with tempfile.TemporaryDirectory(dir=job["out"]) as cache:
        sys.argv = [
            *("builder", "-i", job["model"], "-o", job["out"], "-c", cache, "-e", "cpu"),
            *("-p", job["scheme"].removeprefix("onnx-"), "--extra_options"),
            *(f"block_size={job['block_size']}", f"accuracy_level={INT8_ACTIVATIONS}"),
        ]
        # Its functions want options that only its command line prepares.
        runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__")
    say(result=nodes(Path(job["out"])) | {"seconds": round(time.monotonic() - started, 1)})


def nodes(folder: Path) -> dict[str, Any]:
    """What multiplications the graph has, so that a silent fallback is seen."""
    import onnx

    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    packed = [node for node in graph.node if node.op_type == "MatMulNBits"]
    if not packed:
        raise ValueError("the builder left no MatMulNBits in the graph")
    attributes = {a.name: a.i for a in packed[0].attribute}
    return {
        "matmul_nbits": len(packed),
        "matmul_float": sum(node.op_type == "MatMul" for node in graph.node),
        "bits": attributes["bits"],
        "block_size": attributes["block_size"],
        "accuracy_level": attributes.get("accuracy_level", 0),
        "kept_in_high_precision": "embeddings и нормы: это не умножения",
    }


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])
        raise
