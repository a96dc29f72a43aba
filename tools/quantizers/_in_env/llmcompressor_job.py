"""Runs inside the llmcompressor environment: a JSON job on stdin, JSON lines on stdout.

Job: model, out, scheme, method, text, samples, tokens, group_size (None: the largest that fits).
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

# The library prints to stdout as it likes; our lines get a channel of their own.
LINES = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

IGNORED = ("lm_head", "re:.*mlp[.]gate$", "re:.*router.*", "re:visual.*", "re:.*vision.*")
PRESETS = {"w8a8": "W8A8", "w4a16": "W4A16", "fp8": "FP8_DYNAMIC"}
GROUP_SIZES = (128, 64, 32)


def say(**line: Any) -> None:
    """One JSON line for the advisor."""
    LINES.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> None:
    """Quantize, save, report."""
    job = json.loads(sys.stdin.read())
    started = time.monotonic()
    say(progress="загружаю модель")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    details: dict[str, Any] = {"scheme": job["scheme"], "method": job["method"]}
    call: dict[str, Any] = {"model": model, "tokenizer": tokenizer, "output_dir": job["out"]}
    if job["method"] == "gptq":
        data = calibration(tokenizer, job["text"], job["samples"], job["tokens"])
        details |= {"samples": len(data), "tokens_per_sample": job["tokens"]}
        call |= {
            "dataset": data,
            "num_calibration_samples": len(data),
            "max_seq_length": job["tokens"],
            "shuffle_calibration_samples": False,
        }
    scheme = scheme_of(model, job)
    if scheme.weights.group_size:
        details["group_size"] = scheme.weights.group_size
    watch_layers(model.config.num_hidden_layers)
    say(progress=f"квантую: {job['scheme']}, {job['method']}")
    quantize(job["method"], scheme, call)
    details["seconds"] = round(time.monotonic() - started, 1)
    say(result=details)


def calibration(tokenizer: Any, text: str, samples: int, tokens: int) -> Any:
    """Windows of `tokens` tokens, spread evenly over the text so that few still see all of it."""
    from datasets import Dataset

    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    available = len(ids) // tokens
    if not available:
        raise ValueError(f"calibration text has {len(ids)} tokens, fewer than {tokens}")
    count = min(samples, available)
    starts = [tokens * (i * available // count) for i in range(count)]
    windows = [ids[start : start + tokens] for start in starts]
    return Dataset.from_dict(
        {"input_ids": windows, "attention_mask": [[1] * tokens for _ in windows]}
    )


def scheme_of(model: Any, job: dict[str, Any]) -> Any:
    """The library's preset; a grouped one gets a group size that divides every layer."""
    from compressed_tensors.quantization import preset_name_to_scheme

    scheme = preset_name_to_scheme(PRESETS[job["scheme"]], ["Linear"])
    if scheme.weights.group_size:
        scheme.weights.group_size = job["group_size"] or group_size(model)
    return scheme


def group_size(model: Any) -> int:
    """The largest common group size that divides the inputs of every linear layer."""
    import torch

    widths = {m.in_features for m in model.modules() if isinstance(m, torch.nn.Linear)}
    for size in GROUP_SIZES:
        if not any(width % size for width in widths):
            return size
    raise ValueError(f"no group size of {GROUP_SIZES} divides the layer widths {sorted(widths)}")


def quantize(method: str, scheme: Any, call: dict[str, Any]) -> None:
    """One shot of the library with one modifier."""
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier

    modifier = {"gptq": GPTQModifier, "rtn": QuantizationModifier}[method]
    recipe = modifier(config_groups={"group_0": scheme}, ignore=list(IGNORED))
    Path(call["output_dir"]).mkdir(parents=True, exist_ok=True)
    oneshot(recipe=recipe, **call)


def watch_layers(layers: int) -> None:
    """Turn GPTQ's log lines into one progress line per layer."""
    # Its import removes every sink that was there before.
    from llmcompressor import logger

    seen: set[int] = set()

    def sink(message: Any) -> None:
        found = re.search(r"layers\.(\d+)\.", str(message))
        if found and (layer := int(found.group(1))) not in seen:
            seen.add(layer)
            say(progress=f"GPTQ: слой {layer + 1} из {layers}")

    logger.add(sink, level="INFO", filter=lambda record: "Quantizing" in record["message"])


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])
        raise
