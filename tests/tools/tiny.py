"""A tiny Llama checkpoint with random weights and a byte-level tokenizer, written without torch."""

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

HIDDEN, INNER, HEADS, KV_HEADS, DIM, LAYERS, VOCAB = 64, 128, 4, 2, 16, 4, 257
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": DIM,
    "vocab_size": VOCAB,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "hidden_act": "silu",
    "torch_dtype": "float32",
}
Tensors = dict[str, NDArray[np.float32]]


def write(folder: Path) -> Path:
    """The whole checkpoint; the same weights each time."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    vocabulary = {"<|end|>": 0} | {
        letter: i + 1 for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    save(folder / "model.safetensors", weights())
    return folder


def weights() -> Tensors:
    """Random, of a size at which the network is not dead."""
    draw = np.random.default_rng(7)
    queries, keys = HEADS * DIM, KV_HEADS * DIM
    shapes = {
        "self_attn.q_proj": (queries, HIDDEN),
        "self_attn.k_proj": (keys, HIDDEN),
        "self_attn.v_proj": (keys, HIDDEN),
        "self_attn.o_proj": (HIDDEN, queries),
        "mlp.gate_proj": (INNER, HIDDEN),
        "mlp.up_proj": (INNER, HIDDEN),
        "mlp.down_proj": (HIDDEN, INNER),
    }
    made = {
        "model.embed_tokens.weight": draw.normal(0, 0.5, (VOCAB, HIDDEN)),
        "model.norm.weight": np.ones(HIDDEN),
    }
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            made[f"model.layers.{layer}.{name}.weight"] = draw.normal(0, 0.1, shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            made[f"model.layers.{layer}.{norm}.weight"] = np.ones(HIDDEN)
    return {name: tensor.astype(np.float32) for name, tensor in made.items()}


def save(file: Path, tensors: Tensors) -> None:
    """The safetensors format, float32."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        offsets = [offset, offset + tensor.nbytes]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        offset += tensor.nbytes
    head = json.dumps(header).encode()
    body = b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in tensors.values())
    file.write_bytes(struct.pack("<Q", len(head)) + head + body)


def read(file: Path) -> Tensors:
    """F32 and BF16 tensors as float32."""
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    found: Tensors = {}
    for name, told in header.items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + at for at in told["data_offsets"])
        raw = data[start:end]
        if told["dtype"] == "BF16":
            wide = np.frombuffer(raw, np.uint16).astype(np.uint32) << 16
            found[name] = wide.view(np.float32).reshape(told["shape"])
        elif told["dtype"] == "F32":
            found[name] = np.frombuffer(raw, np.float32).reshape(told["shape"])
    return found


def linear(tensors: Tensors) -> Tensors:
    """The matrices of the decoder's layers."""
    return {n: t for n, t in tensors.items() if "_proj." in n and n.startswith("model.layers")}
