"""Runs in the `transformers` environment: casts, torchao and bitsandbytes checkpoints.

Job: model, out, scheme. Result: seconds, kept_in_high_precision.
"""

import json
import os
import sys
import time
from typing import Any

# Libraries print to stdout as they like; our lines get a channel of their own.
LINES = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

CASTS = {"fp16": "float16", "bf16": "bfloat16"}


def say(**line: Any) -> None:
    """One JSON line for the advisor."""
    LINES.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> None:
    """Load through the library's own quantizer, save, report."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    job = json.loads(sys.stdin.read())
    started = time.monotonic()
    cast = CASTS.get(job["scheme"])
    config = None if cast else quantization_of(job["scheme"])
    say(progress=f"загружаю модель и перевожу в {job['scheme']}")
    model = AutoModelForCausalLM.from_pretrained(
        job["model"], dtype=getattr(torch, cast or "bfloat16"), quantization_config=config
    )
    check_range(model, cast)
    say(progress="записываю checkpoint")
    model.save_pretrained(job["out"])
    AutoTokenizer.from_pretrained(job["model"]).save_pretrained(job["out"])
    kept = sorted({name.split(".")[-1] for name, module in model.named_modules() if plain(module)})
    result: dict[str, Any] = {"scheme": job["scheme"]}
    if config is not None:
        result["kept_in_high_precision"] = ", ".join(kept)
    say(result=result | {"seconds": round(time.monotonic() - started, 1)})


def quantization_of(scheme: str) -> Any:
    """The library's configuration for a scheme."""
    import torch
    from transformers import BitsAndBytesConfig, TorchAoConfig

    if scheme == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    if scheme == "llm-int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    from torchao import quantization as ao

    if scheme == "int8-weight-only":
        return TorchAoConfig(ao.Int8WeightOnlyConfig())
    return TorchAoConfig(ao.Int8DynamicActivationInt8WeightConfig())


def check_range(model: Any, cast: str | None) -> None:
    """float16 ends at 65504: what lies above would come out as infinity."""
    import torch

    if cast != "float16":
        return
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} does not fit into float16: use bf16")


def plain(module: Any) -> bool:
    """A linear layer whose weight is an ordinary tensor of floats."""
    import torch

    if not isinstance(module, torch.nn.Linear):
        return False
    weight = module.weight
    return type(weight.data) is torch.Tensor and weight.dtype.is_floating_point


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])
        raise
