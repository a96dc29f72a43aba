"""Typed access to config.json, whatever name a family gives a field."""

from collections.abc import Mapping
from typing import Any

from knowledge.errors import BadModel

_NESTED = ("thinker_config", "text_config", "llm_config", "language_config")
_HINT = "Дайте папку с config.json авторегрессионной модели в формате Hugging Face"

# What save_pretrained leaves out of a nested text_config because it is the class's default
# (transformers, configuration_gemma3.py and configuration_llama.py).
_NESTED_DEFAULTS: dict[str, dict[str, int | bool]] = {
    "gemma3_text": {
        "vocab_size": 262208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131072,
    },
    "llama": {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    },
}


class ConfigFields:
    """The language model's part of a config: nested text_config is merged over the outer one."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._values = _flatten(config)

    @property
    def family(self) -> str:
        """The model_type of the language model, or the empty string."""
        return str(self._values.get("model_type") or "")

    def get(self, name: str) -> Any:
        """The raw value; None when the field is missing."""
        return self._values.get(name)

    def optional(self, *names: str) -> int | None:
        """The first of `names` that is set, as a non-negative integer."""
        for name in names:
            value = self._values.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise BadModel(f"config.json: {name} = {value!r}, а нужно целое число", _HINT)
            return value
        return None

    def required(self, *names: str, default: int | None = None) -> int:
        """A positive integer; raises BadModel when it is missing and has no default."""
        value = self.optional(*names)
        value = default if value is None else value
        if value is None:
            raise BadModel(f"config.json: нет поля {names[0]}", _HINT)
        if value == 0:
            raise BadModel(f"config.json: {names[0]} = 0", _HINT)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name)
        return default if value is None else bool(value)

    def strings(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()

    def section(self, name: str) -> Mapping[str, Any]:
        """A nested mapping; empty when it is missing."""
        value = self._values.get(name)
        return value if isinstance(value, Mapping) else {}


def _flatten(config: Mapping[str, object]) -> dict[str, Any]:
    values = dict(config)
    while nested := next((n for n in _NESTED if isinstance(values.get(n), Mapping)), None):
        inner = values.pop(nested)
        assert isinstance(inner, Mapping)
        # The outer names the class that engines load, the inner one a class nobody loads alone.
        outer = {k: v for k, v in values.items() if k != "model_type" or not inner.get(k)}
        defaults = _NESTED_DEFAULTS.get(str(inner.get("model_type")), {})
        given = {k: v for k, v in inner.items() if v is not None and k != "architectures"}
        values = defaults | outer | given
    return values
