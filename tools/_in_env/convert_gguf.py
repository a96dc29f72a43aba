"""Runs in the `transformers` environment: a .gguf file to a normal checkpoint.

Job: {"gguf": FILE, "target": FOLDER, "dtype": "float32"}. Result: {"parameters": N}.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """One job from stdin, JSON lines to stdout."""
    job = json.load(sys.stdin)
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        folder, name = str(Path(job["gguf"]).parent), Path(job["gguf"]).name
        say({"progress": "читаем и разворачиваем веса"})
        # Without dequantize=True transformers 5 keeps the packed blocks and refuses to save them.
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=name,
            dtype=getattr(torch, job["dtype"]),
            quantization_config=GgufConfig(gguf_file=name, dequantize=True),
        )
        say({"progress": "записываем safetensors"})
        model.save_pretrained(job["target"])
        AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(job["target"])
        say({"result": {"parameters": model.num_parameters()}})
    except Exception as error:  # noqa: BLE001 - the process boundary: the caller gets it typed
        say({"error": f"{type(error).__name__}: {error}"})


def say(line: dict[str, object]) -> None:
    """One JSON line, at once."""
    print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
