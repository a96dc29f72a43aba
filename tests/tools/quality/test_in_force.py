import pytest

from knowledge.types import EngineConfig, FlagValue
from tools.quality.in_force import compare, reported


@pytest.mark.parametrize(
    ("flag", "asked", "key", "seen", "agrees"),
    [
        ("max-num-seqs", 64, "max_num_seqs", "64", True),
        ("max-num-seqs", 64, "max_num_seqs", "32", False),
        ("max-num-seqs", "64", "max-num-seqs", "64.0", True),
        ("enforce-eager", True, "enforce_eager", "True", True),
        ("enforce-eager", True, "enforce_eager", "False", False),
        ("no-enable-prefix-caching", True, "enable_prefix_caching", "False", True),
        ("no-enable-prefix-caching", True, "enable_prefix_caching", "True", False),
        ("dtype", "bfloat16", "dtype", "torch.bfloat16", True),
        ("dtype", "half", "dtype", "torch.float16", True),
        ("dtype", "float32", "dtype", "torch.bfloat16", False),
        ("dtype", "auto", "dtype", "torch.bfloat16", None),
        ("max-model-len", "8k", "max_model_len", "8000", True),
        ("max-model-len", "8K", "max_model_len", "8192", True),
        ("kv-cache-dtype", "fp8", "kv_cache_dtype", "fp8_e4m3", True),
        ("speculative-config", '{"method": "ngram", "n": 4}', "speculative_config",
         "{'n': 4, 'method': 'ngram', 'more': None}", True),
        ("speculative-config", '{"method": "ngram", "n": 4}', "speculative_config",
         "{'n': 2, 'method': 'ngram'}", False),
        ("speculative-config", '{"method": "ngram"}', "speculative_config",
         "SpeculativeConfig(method='ngram')", None),
        ("swap", 4, "other", "4", None),
    ],
)  # fmt: skip
def test_the_same_value_in_other_spellings(
    flag: str, asked: FlagValue, key: str, seen: str, agrees: bool | None
) -> None:
    config = EngineConfig(engine="e", flags={flag: asked})
    assert compare(config, {key: seen}) == {flag: agrees}


def test_environment_variables_are_compared_too() -> None:
    config = EngineConfig(engine="e", env={"VLLM_CPU_KVCACHE_SPACE": "4"})
    assert compare(config, {"VLLM_CPU_KVCACHE_SPACE": "8"}) == {"VLLM_CPU_KVCACHE_SPACE": False}


def test_what_is_reported_is_found_under_the_engines_spelling() -> None:
    assert reported("no-enable-prefix-caching", {"enable_prefix_caching": "True"}) == "True"
    assert reported("unknown", {"enable_prefix_caching": "True"}) is None
