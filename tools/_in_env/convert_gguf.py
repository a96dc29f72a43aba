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
        mend_tokenizer(Path(job["target"]) / "tokenizer.json", pre_tokenizer_of(Path(job["gguf"])))
        say({"result": {"parameters": model.num_parameters()}})
    except Exception as error:  # noqa: BLE001 - the process boundary: the caller gets it typed
        say({"error": f"{type(error).__name__}: {error}"})


def pre_tokenizer_of(file: Path) -> str:
    """llama.cpp's name of how the file's tokenizer cuts text before BPE; empty where none."""
    from gguf import GGUFReader

    field = GGUFReader(str(file)).fields.get("tokenizer.ggml.pre")
    return bytes(field.parts[field.data[0]]).decode() if field else ""


def mend_tokenizer(file: Path, pre_tokenizer: str) -> None:
    """transformers reads GPT-2's cuts out of every GGUF file: SmolLM's digits stand alone.

    Without it "   2" is three tokens and not two, and no server agrees with llama.cpp.
    """
    told = json.loads(file.read_text(encoding="utf-8"))
    cuts = told.get("pre_tokenizer") or {}
    if pre_tokenizer != "smollm" or cuts.get("type") != "ByteLevel":
        return
    digits = {"type": "Digits", "individual_digits": True}
    told["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, cuts]}
    file.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")


def say(line: dict[str, object]) -> None:
    """One JSON line, at once."""
    print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
