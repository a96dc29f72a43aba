"""Runs inside the llmcompressor environment: a JSON job on stdin, JSON lines on stdout.

Job: model, out, scheme, method, text, samples, tokens, group_size (None: the largest that fits),
actorder, dampening, smoothing, kv_cache, kept (why some layers are left as they are).
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
PRESETS = {
    "w8a8": "W8A8", "w8a16": "W8A16", "w4a16": "W4A16", "fp8": "FP8_DYNAMIC", "fp8-static": "FP8",
}  # fmt: skip
GROUP_SIZES = (128, 64, 32)
SMOOTHING = 0.8
KV_FP8 = {
    "num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True,
}  # fmt: skip


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
    if job["method"] != "rtn":
        data = calibration(tokenizer, job["text"], job["samples"], job["tokens"])
        details |= {
            "samples": len(data),
            "samples_asked": job["samples"],
            "tokens_per_sample": job["tokens"],
        }
        call |= {
            "dataset": data,
            "num_calibration_samples": len(data),
            "max_seq_length": job["tokens"],
            "shuffle_calibration_samples": False,
        }
    scheme = scheme_of(model, job)
    if scheme.weights.group_size:
        details["group_size"] = scheme.weights.group_size
    kept = unquantized(model)
    details |= {"kept_in_high_precision": ", ".join(kept), "kept_why": job["kept"] if kept else ""}
    errors = watch_layers(model.config.num_hidden_layers, job["method"])
    say(progress=f"квантую: {job['scheme']}, {job['method']}")
    quantize(job, scheme, call)
    if errors:
        details["error_by_layer"] = {name: round(sum(e), 4) for name, e in errors.items()}
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
    if count < samples:
        say(progress=f"калибровочного текста хватило на {count} из {samples} отрывков")
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


def unquantized(model: Any) -> list[str]:
    """Linear layers that the recipe leaves alone."""
    import torch
    from compressed_tensors.utils import match_named_modules

    found = match_named_modules(model, list(IGNORED))
    return [name for name, module in found if isinstance(module, torch.nn.Linear)]


def quantize(job: dict[str, Any], scheme: Any, call: dict[str, Any]) -> None:
    """One shot of the library with the modifiers of the method."""
    from llmcompressor import oneshot

    Path(call["output_dir"]).mkdir(parents=True, exist_ok=True)
    oneshot(recipe=recipe_of(job, scheme), **call)


def recipe_of(job: dict[str, Any], scheme: Any) -> list[Any]:
    """The library's modifiers, in their order."""
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier

    common: dict[str, Any] = {"config_groups": {"group_0": scheme}, "ignore": list(IGNORED)}
    if job["kv_cache"]:
        common["kv_cache_scheme"] = KV_FP8
    if job["method"] in ("rtn", "static"):
        return [QuantizationModifier(**common)]
    if job["method"] == "awq":
        without_pinning()
        return [AWQModifier(), QuantizationModifier(**common)]
    if job["dampening"] is not None:
        common["dampening_frac"] = job["dampening"]
    if job["actorder"] is not None:
        common["actorder"] = None if job["actorder"] == "none" else job["actorder"]
    before = []
    if job["method"] == "smoothquant":
        strength = SMOOTHING if job["smoothing"] is None else job["smoothing"]
        before = [SmoothQuantModifier(smoothing_strength=strength)]
    return [*before, GPTQModifier(**common)]


def without_pinning() -> None:
    """Pinned memory needs an accelerator; 0.14 asks for it without looking, and AWQ ends there."""
    import torch
    from llmcompressor.pipelines.cache import IntermediatesCache

    if not torch.accelerator.is_available():
        IntermediatesCache.pin_memory = lambda *_, **__: None


def watch_layers(layers: int, method: str) -> dict[str, list[float]]:
    """Turn the library's log into one progress line per layer; GPTQ's errors by layer fill up."""
    # Its import removes every sink that was there before.
    from llmcompressor import logger

    seen: set[str] = set()
    at = ""
    errors: dict[str, list[float]] = {}

    def sink(message: Any) -> None:
        nonlocal at
        text = str(message)
        if found := re.search(r"layers\.(\d+)\.", text):
            at = found.group(1)
            if at not in seen:
                seen.add(at)
                say(progress=f"{method}: слой {int(at) + 1} из {layers}")
        if at and (error := re.search(r"error ([0-9.]+)", text)):
            errors.setdefault(at, []).append(float(error.group(1)))

    logger.add(sink, level=0)
    return errors


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])
        raise
