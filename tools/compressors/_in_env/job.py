"""Runs in the `transformers` environment: one compression, a JSON job in, JSON lines out.

Job: model, out, method, scheme, text, checkpoint and the method's options.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from network import load, save, say

STRUCTURED = ("layers", "neurons", "heads")
SPARSE = ("magnitude", "wanda", "sparsegpt")
LOW_RANK = ("svd", "tucker", "cp")


def main() -> None:
    """Load, compress, heal where asked, save, report."""
    job = json.loads(sys.stdin.read())
    started = time.monotonic()
    say(progress="загружаю модель")
    model = load(job["model"])
    model, details = compress(model, job)
    say(progress="записываю checkpoint")
    save(model, job)
    say(result=details | {"method": job["method"], "seconds": round(time.monotonic() - started, 1)})


def compress(model: Any, job: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The method by its name."""
    method = job["method"]
    if method in SPARSE:
        import sparse

        return model, sparse.prune(model, job)
    if method in LOW_RANK:
        import lowrank

        return model, lowrank.factorize(model, job)
    if method == "lora":
        return merge_lora(model, job)
    import training

    if method in STRUCTURED:
        import structured

        details = structured.prune(model, job)
        return model, details | training.heal(model, job, details.get("dropped_layers", []))
    if method == "distill":
        return training.distill(model, job)
    return model, training.iterative(model, job)


def merge_lora(model: Any, job: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """An adapter into the weights: nothing is left to be computed beside them."""
    from peft import PeftModel

    wrapped = PeftModel.from_pretrained(model, job["adapter"])
    config = next(iter(wrapped.peft_config.values()))
    merged = wrapped.merge_and_unload(safe_merge=True)
    return merged, {"adapter": Path(job["adapter"]).name, "rank": config.r}


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])
        raise
