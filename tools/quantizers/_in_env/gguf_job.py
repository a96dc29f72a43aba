"""Runs in the `transformers` environment: a checkpoint to one quantized .gguf file.

Job: model, out, scheme, name, imatrix, text, samples, tokens. Names and metadata are written with
the `gguf` package; blocks are packed by ggml's own kernels, out of the library in xllamacpp.
Which tensor gets which type follows llama.cpp (src/llama-quant.cpp, llama_tensor_get_type).
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

# Libraries print to stdout as they like; our lines get a channel of their own.
LINES = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
BASE = {"q8_0": "Q8_0", "q6_k": "Q6_K", "q5_k_m": "Q5_K", "q4_k_m": "Q4_K", "q4_0": "Q4_0"}
FILE_TYPES = {"q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q4_k_m": 15, "q4_0": 2}
"""LLAMA_FTYPE_MOSTLY_*."""
NARROW_ROWS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""K-quants pack 256 weights of a row; rows that are no multiple of it get these."""
LLAMA3_SPLIT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
QWEN2_SPLIT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
_TOLD_EVERY = 8
"""Windows of text between two lines of progress."""


def say(**line: Any) -> None:
    """One JSON line for the advisor."""
    LINES.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> None:
    """Load, look at text when asked to, convert, pack, report."""
    job = json.loads(sys.stdin.read())
    started = time.monotonic()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    say(progress="загружаю модель")
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32).eval()
    result: dict[str, Any] = {"scheme": job["scheme"], "imatrix": bool(job["imatrix"])}
    importance: dict[str, Any] = {}
    if job["imatrix"]:
        tokenizer = AutoTokenizer.from_pretrained(job["model"])
        windows = calibration(tokenizer, job["text"], job["samples"], job["tokens"])
        importance = importance_of(model, windows)
        result |= {
            "samples": len(windows),
            "samples_asked": job["samples"],
            "tokens_per_sample": job["tokens"],
        }
    file = Path(job["out"]) / f"{job['name']}-{job['scheme'].upper()}.gguf"
    result |= write(model, Path(job["model"]), job, importance, file)
    say(result=result | {"seconds": round(time.monotonic() - started, 1)})


def calibration(tokenizer: Any, text: str, samples: int, tokens: int) -> list[list[int]]:
    """Windows of `tokens` tokens, spread evenly over the text."""
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    available = len(ids) // tokens
    if not available:
        raise ValueError(f"calibration text has {len(ids)} tokens, fewer than {tokens}")
    count = min(samples, available)
    if count < samples:
        say(progress=f"калибровочного текста хватило на {count} из {samples} отрывков")
    starts = [tokens * (i * available // count) for i in range(count)]
    return [ids[start : start + tokens] for start in starts]


def importance_of(model: Any, windows: list[list[int]]) -> dict[str, Any]:
    """The imatrix: by linear layer, the mean square of every input column."""
    import torch

    sums: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def hook(_module: Any, inputs: tuple[Any, ...]) -> None:
            seen = inputs[0].flatten(0, -2).float().square().sum(0)
            sums[name] = sums.get(name, 0) + seen

        return hook

    linear = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in linear]
    with torch.inference_mode():
        for number, window in enumerate(windows, start=1):
            model(torch.tensor([window]))
            if number % _TOLD_EVERY == 0 or number == len(windows):
                say(progress=f"imatrix: отрывок {number} из {len(windows)}")
    for hook in hooks:
        hook.remove()
    count = sum(map(len, windows))
    return {f"{name}.weight": (total / count).numpy() for name, total in sums.items()}


def write(
    model: Any, folder: Path, job: dict[str, Any], importance: dict[str, Any], file: Path
) -> dict[str, Any]:
    """The whole file. Returns types by count and the packing error by layer."""
    import gguf

    config = model.config
    arch = ARCHITECTURES[config.architectures[0]]
    writer = gguf.GGUFWriter(file, arch)
    add_hyperparameters(writer, config, job)
    add_tokenizer(writer, folder, config.vocab_size)
    key = next(k for k, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    names = gguf.get_tensor_name_map(key, config.num_hidden_layers)
    kernels = Kernels()
    types: dict[str, int] = {}
    errors: dict[str, list[float]] = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise ValueError(f"no GGUF name for tensor {name}")
        data = prepared(name, tensor, config, arch)
        kind = type_of(target, data.shape, job["scheme"], config)
        types[kind] = types.get(kind, 0) + 1
        packed, error = kernels.pack(data, kind, importance.get(name))
        writer.add_tensor(target, packed, raw_dtype=gguf.GGMLQuantizationType[kind])
        layer = target.split(".")[1] if target.startswith("blk.") else target
        if error is not None:
            if layer not in errors:
                say(progress=f"упаковываю слой {layer}: первый тензор {kind}, ошибка {error:.4f}")
            errors.setdefault(layer, []).append(error)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {
        "types": types,
        "error_by_layer": {name: round(sum(e) / len(e), 5) for name, e in errors.items()},
        "kept_in_high_precision": "нормы в F32; выходной слой не ниже Q6_K",
        "kept_why": "малы, а ошибка выходного слоя идёт прямо в вероятности",
    }


def add_hyperparameters(writer: Any, config: Any, job: dict[str, Any]) -> None:
    """Sizes under llama.cpp's names."""
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_type {rope['rope_type']} is not converted")
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(job["name"])
    writer.add_file_type(FILE_TYPES[job["scheme"]])
    writer.add_quantization_version(2)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def add_tokenizer(writer: Any, folder: Path, vocab_size: int) -> None:
    """Vocabulary, merges and special tokens of a byte-level BPE tokenizer.json."""
    import gguf

    told = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer_of(told))
    added = {token["id"]: token for token in told["added_tokens"]}
    by_id = {number: text for text, number in told["model"]["vocab"].items()}
    by_id |= {number: token["content"] for number, token in added.items()}
    tokens = [by_id.get(number, f"[PAD{number}]") for number in range(vocab_size)]
    types = [
        (CONTROL if added[n]["special"] else USER_DEFINED) if n in added else NORMAL
        for n in range(vocab_size)
    ]
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    gguf.SpecialVocab(folder, load_merges=True, n_vocab=vocab_size).add_to_gguf(writer, quiet=True)


def pre_tokenizer_of(told: dict[str, Any]) -> str:
    """llama.cpp's name of how text is cut before BPE."""
    if told["model"]["type"] != "BPE" or told["model"].get("byte_fallback"):
        raise ValueError("only byte-level BPE tokenizers are converted")
    steps = told["pre_tokenizer"].get("pretokenizers", [told["pre_tokenizer"]])
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"]:
        return "smollm"
    pattern = steps[0].get("pattern", {}).get("Regex", "")
    for start, name in ((LLAMA3_SPLIT, "llama-bpe"), (QWEN2_SPLIT, "qwen2")):
        if kinds == ["Split", "ByteLevel"] and pattern.startswith(start):
            return name
    raise ValueError(f"the pre-tokenizer {kinds} is not known to llama.cpp by name")


def prepared(name: str, tensor: Any, config: Any, arch: str) -> Any:
    """float32, and for llama the rows of q and k in the order of ggml's rotary embedding."""
    data = tensor.float().contiguous().numpy()
    if arch == "llama" and (".q_proj." in name or ".k_proj." in name):
        heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
        rows = data.shape[0]
        halves = data.reshape(heads, 2, rows // heads // 2, *data.shape[1:])
        data = halves.swapaxes(1, 2).reshape(data.shape)
    return data


def type_of(target: str, shape: tuple[int, ...], scheme: str, config: Any) -> str:
    """llama.cpp's mixture: more bits for the output, and for v and down in some layers."""
    if len(shape) == 1:
        return "F32"
    kind = BASE[scheme]
    output = "token_embd" if config.tie_word_embeddings else "output"
    if target == f"{output}.weight":
        kind = "Q8_0" if scheme == "q8_0" else "Q6_K"
    elif scheme.endswith("_m") and target.endswith(("attn_v.weight", "ffn_down.weight")):
        layer, layers = int(target.split(".")[1]), config.num_hidden_layers
        if layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2:
            kind = "Q6_K"
    if shape[1] % 256 and kind in NARROW_ROWS:
        kind = NARROW_ROWS[kind]
    return "F16" if shape[1] % 32 else kind


class Kernels:
    """ggml_quantize_chunk and ggml_row_size of the library that xllamacpp is linked with."""

    def __init__(self) -> None:
        import xllamacpp.xllamacpp as module

        library = ctypes.CDLL(module.__file__)
        self._pack = library.ggml_quantize_chunk
        self._pack.restype = ctypes.c_size_t
        self._pack.argtypes = [
            *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p),
            *(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p),
        ]
        self._row_size = library.ggml_row_size
        self._row_size.restype = ctypes.c_size_t
        self._row_size.argtypes = [ctypes.c_int, ctypes.c_int64]

    def pack(self, data: Any, kind: str, importance: Any) -> tuple[Any, float | None]:
        """The packed rows, and their error relative to the weights (None: not packed)."""
        import gguf
        import numpy as np

        if kind in ("F32", "F16"):
            return data.astype({"F32": np.float32, "F16": np.float16}[kind]), None
        rows, columns = data.shape
        number = gguf.GGMLQuantizationType[kind]
        data = np.ascontiguousarray(data, dtype=np.float32)
        weights = None
        if importance is not None:
            weights = np.ascontiguousarray(importance, dtype=np.float32)
        packed = np.empty((rows, self._row_size(number, columns)), dtype=np.uint8)
        pointer = weights.ctypes.data if weights is not None else None
        written = self._pack(
            number, data.ctypes.data, packed.ctypes.data, 0, rows, columns, pointer
        )
        if written != packed.nbytes:
            raise ValueError(f"ggml packed {written} bytes of {kind} where {packed.nbytes} fit")
        back = gguf.quants.dequantize(packed, number)
        error = float(np.linalg.norm(back - data)) / max(float(np.linalg.norm(data)), 1e-30)
        return packed, error


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])
        raise
