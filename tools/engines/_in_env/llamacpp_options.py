"""Options of the llama.cpp server by the names that llama-server has for them.

What they accept, and what they are by default, is read from the installed xllamacpp: every option
is a field of its CommonParams. A field that it has not is no option.
"""

import argparse
from enum import Enum
from typing import Any

_PLAIN = {
    "threads": ("cpuparams.n_threads", "Threads of generation; -1: all physical cores"),
    "threads-batch": ("cpuparams_batch.n_threads", "Threads of prefill; -1: those of generation"),
    "threads-http": ("n_threads_http", "Threads that answer HTTP; -1: chosen by the server"),
    "poll": ("cpuparams.poll", "0 to 100: how busily threads wait for each other"),
    "ctx-size": ("n_ctx", "Tokens of KV cache over all slots; 0: the model's own context"),
    "batch-size": ("n_batch", "Most tokens of one logical batch"),
    "ubatch-size": ("n_ubatch", "Most tokens of one physical batch"),
    "parallel": ("n_parallel", "Slots: requests served at once"),
    "keep": ("n_keep", "Tokens of the prompt kept when the context is shifted"),
    "cache-reuse": ("n_cache_reuse", "Least chunk reused from the cache by shifting KV"),
    "cache-ram": ("cache_ram_mib", "Most MiB of idle prompts kept in memory"),
    "slot-prompt-similarity": ("slot_prompt_similarity", "How alike a slot's prompt must be"),
    "n-gpu-layers": ("n_gpu_layers", "Layers kept on the GPU; -1: as many as fit"),
    "main-gpu": ("main_gpu", "Which GPU, where there are several"),
    "rope-freq-base": ("rope_freq_base", "Base of RoPE; 0: the model's"),
    "rope-freq-scale": ("rope_freq_scale", "Scale of RoPE; 0: the model's"),
    "spec-ngram-mod-n-match": ("speculative.ngram_mod.n_match", "Tokens to look up by"),
    "spec-ngram-mod-n-min": ("speculative.ngram_mod.n_min", "Least tokens of a draft"),
    "spec-ngram-mod-n-max": ("speculative.ngram_mod.n_max", "Most tokens of a draft"),
    "spec-ngram-simple-size-n": ("speculative.ngram_simple.size_n", "Tokens to look up by"),
    "spec-ngram-simple-size-m": ("speculative.ngram_simple.size_m", "Tokens of a draft"),
    "spec-draft-model": ("speculative.draft.mparams.path", "GGUF file of a draft model"),
    "spec-draft-n-max": ("speculative.draft.n_max", "Most tokens of a draft"),
    "spec-draft-n-min": ("speculative.draft.n_min", "Least tokens of a draft"),
    "spec-draft-p-min": ("speculative.draft.p_min", "Least probability of a drafted token"),
}
_SWITCHES = {
    "kv-unified": ("kv_unified", "One KV cache shared by the slots"),
    "cont-batching": ("cont_batching", "Requests join and leave a running batch"),
    "cache-prompt": ("cache_prompt", "Reuse the KV of a common start of prompts"),
    "cache-idle-slots": ("cache_idle_slots", "Keep the prompts of idle slots"),
    "context-shift": ("ctx_shift", "Drop the oldest tokens when the context is full"),
    "swa-full": ("swa_full", "Full KV cache for layers with a sliding window"),
    "warmup": ("warmup", "An empty run before the first request"),
    "check-tensors": ("check_tensors", "Look for invalid values while loading"),
}
_INVERTED = {
    "kv-offload": ("no_kv_offload", "KV cache on the GPU"),
    "repack": ("no_extra_bufts", "Weights repacked for the CPU's kernels"),
    "op-offload": ("no_op_offload", "Large operations of host tensors on the GPU"),
}
_CHOICES = {
    "flash-attn": ("flash_attn_type", "llama_flash_attn_type", "Flash attention"),
    "cache-type-k": ("cache_type_k", "ggml_type", "Number format of K in the cache"),
    "cache-type-v": ("cache_type_v", "ggml_type", "Number format of V in the cache"),
    "numa": ("numa", "ggml_numa_strategy", "How threads and memory are spread over NUMA nodes"),
    "load-mode": ("load_mode", "llama_load_mode", "How weights come into memory"),
    "split-mode": ("split_mode", "llama_split_mode", "How a model is split over GPUs"),
    "spec-type": ("speculative.types", "common_speculative_type", "Speculative decoding"),
}
_SERVER_DEFAULTS: dict[str, object] = {"parallel": 4, "kv-unified": True}
"""Where llama-server departs from the library: --parallel auto is 4 slots over one KV cache."""
_WORDS = {"enabled": "on", "disabled": "off"}
_PREFIXES = (
    *("GGML_TYPE_", "GGML_NUMA_STRATEGY_", "COMMON_SPECULATIVE_TYPE_"),
    *("LLAMA_FLASH_ATTN_TYPE_", "LLAMA_LOAD_MODE_", "LLAMA_SPLIT_MODE_"),
)
_FLAG_CHOICES = ("flash-attn",)
_KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
"""Those that llama-server takes for the cache; ggml_type has more."""


def build_parser(xllamacpp: Any) -> argparse.ArgumentParser:
    """What may follow the script's name, for the installed package."""
    params = xllamacpp.CommonParams()
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    for name in ("model", "alias"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    for name, (path, text) in _PLAIN.items():
        if (now := _get(params, path)) is not None:
            default = _SERVER_DEFAULTS.get(name, now)
            parser.add_argument(f"--{name}", type=type(now), default=default, help=text)
    for inverted, table in ((False, _SWITCHES), (True, _INVERTED)):
        for name, (path, text) in table.items():
            if (now := _get(params, path)) is not None:
                default = _SERVER_DEFAULTS.get(name, now != inverted)
                action = argparse.BooleanOptionalAction
                parser.add_argument(f"--{name}", action=action, default=default, help=text)
    for name, (path, kind, text) in _CHOICES.items():
        if (now := _get(params, path)) is not None:
            choices = list(_members(name, getattr(xllamacpp, kind)))
            default = _word(name, now[0] if isinstance(now, list) else now)
            parser.add_argument(f"--{name}", choices=choices, default=default, help=text)
    return parser


def apply(options: argparse.Namespace, xllamacpp: Any) -> Any:
    """The CommonParams that these options ask for."""
    params = xllamacpp.CommonParams()
    given = {name.replace("_", "-"): value for name, value in vars(options).items()}
    for name, (path, _) in (_PLAIN | _SWITCHES).items():
        if name in given:
            _set(params, path, given[name])
    for name, (path, _) in _INVERTED.items():
        if name in given:
            _set(params, path, not given[name])
    for name, (path, kind, _) in _CHOICES.items():
        if name in given:
            member = _members(name, getattr(xllamacpp, kind))[given[name]]
            _set(params, path, [member] if name == "spec-type" else member)
    params.model.path = options.model
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.endpoint_metrics = True
    params.ui = False
    return params


def settings_of(params: Any, xllamacpp: Any) -> dict[str, object]:
    """Every option with its value in the parameters of a server that runs."""
    values: dict[str, object] = {}
    for name, (path, _) in (_PLAIN | _SWITCHES).items():
        values[name] = _get(params, path)
    for name, (path, _) in _INVERTED.items():
        inverse = _get(params, path)
        values[name] = None if inverse is None else not inverse
    for name, (path, _, _) in _CHOICES.items():
        now = _get(params, path)
        if now is not None:
            values[name] = _word(name, now[0] if isinstance(now, list) else now)
    return {name: _short(value) for name, value in values.items() if value is not None}


def _short(value: object) -> object:
    """0.1 is kept as a float32 and comes back with its rounding."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _get(params: Any, path: str) -> Any:
    for part in path.split("."):
        params = getattr(params, part, None)
    return params


def _set(params: Any, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for part in parents:
        params = getattr(params, part)
    setattr(params, last, value)


def _members(name: str, kind: type[Enum]) -> dict[str, Enum]:
    found = {_word(name, member): member for member in kind}
    if name.startswith("cache-type"):
        return {word: found[word] for word in _KV_TYPES if word in found}
    return {word: member for word, member in found.items() if word != "count"}


def _word(name: str, member: Enum) -> str:
    """GGML_TYPE_Q8_0 is q8_0, LLAMA_FLASH_ATTN_TYPE_ENABLED is on."""
    word = member.name
    for prefix in _PREFIXES:
        word = word.removeprefix(prefix)
    word = word.lower()
    if name in _FLAG_CHOICES:
        return _WORDS.get(word, word)
    return word.replace("_", "-") if name in ("spec-type", "load-mode") else word
