"""Number formats and quantization methods that a question names."""

import re
from typing import Any

from advisor.consultation.understanding.numbers import Reader
from knowledge.patterns import compiled

_SCHEMES: tuple[tuple[str, str], ...] = (
    ("nvfp4", r"nv-?fp4|fp4|нвфп4|фп4"),
    ("mxfp4", r"mxfp4"),
    (
        "int4",
        (
            r"w4a16|int-?4|инт-?4|q4[_\w]*|iq4\w*|4[- ]?(?:х |x )?(?:-?х )?бит\w*|4[-"
            r" ]?bits?|четырехбит\w*|nf4"
        ),
    ),
    ("int3", r"q3[_\w]*|3[- ]?бит\w*|3[- ]?bits?"),
    ("int2", r"q2[_\w]*|2[- ]?бит\w*|2[- ]?bits?"),
    ("fp8", r"fp-?8|фп-?8|float8|e4m3|e5m2"),
    ("int8", r"w8a8|w8a16|int-?8|инт-?8|q8[_\w]*|8[- ]?бит\w*|8[- ]?bits?|восьмибит\w*"),
    ("bf16", r"bf-?16|бф-?16|bfloat-?16"),
    (
        "fp16",
        (
            r"fp-?16|фп-?16|float-?16|half(?: precision)?|полов\w+ точност\w*|f16|16[-"
            r" ]?бит\w*|16[- ]?bits?|без квант\w*|не ?квантован\w*|unquantized|полн\w+"
            r" точност\w*|родн\w+ точност\w*"
        ),
    ),
    ("fp32", r"fp-?32|фп-?32|float-?32|32[- ]?бит\w*"),
)
_METHODS = (
    ("awq", r"\bawq\b|авк\b|\bавкью\b"),
    ("gptq", r"\bgptq\b|гптк\w*|гптику"),
    ("gguf", r"\bgguf\b|ггуф\w*|q\d_k\w*"),
    ("smoothquant", r"smooth-?quant|смусквант\w*"),
    ("bitsandbytes", r"bits-?and-?bytes|\bbnb\b|nf4"),
    ("hqq", r"\bhqq\b"),
)
_KV = r"(?<![a-zа-я])(?:kv|кв|кэш\w*|кеш\w*|cache)(?![а-я])"


def read(reader: Reader) -> dict[str, Any]:
    """weights, schemes, methods and kv; the words are hidden, so that «4 бита» is no count."""
    values: dict[str, Any] = {}
    found: list[tuple[int, str]] = []
    for name, pattern in _METHODS:
        if compiled(pattern).search(reader.text):
            values["methods"] = (*values.get("methods", ()), name)
    for scheme, pattern in _SCHEMES:
        for match in list(
            compiled(rf"(?<![a-zа-я0-9])(?:{pattern})(?![a-zа-я0-9])").finditer(reader.text)
        ):
            text = match[0]
            if _is_kv(reader.text, *match.span()):
                values["kv"] = "fp8" if scheme == "fp8" else "int8" if scheme == "int8" else "bf16"
            else:
                found.append((match.start(), scheme))
            reader.hide(match.start(), match.start() + len(text))
    ordered = tuple(dict.fromkeys(scheme for _, scheme in sorted(found)))
    if not ordered and {"awq", "gptq"} & set(values.get("methods", ())):
        ordered = ("int4",)
    if ordered:
        values["schemes"] = ordered
        values["weights"] = ordered[0]
    return values


def _is_kv(text: str, start: int, end: int) -> bool:
    """«kv в fp8», «fp8 kv cache»: of the cache, not of the weights."""
    before = re.split(r"[,;.?]| и (?!в )|веса", text[max(0, start - 34) : start])[-1]
    after = text[end : end + 12]
    return bool(
        re.search(
            rf"{_KV}(?: cache|-кэш\w*|-кеш\w*| кэш\w*|"
            r" кеш\w*)?\s*(?:держ\w+|перев\w+|хран\w+|квант\w*|в|in|to|на|dtype|=|:)?\s*(?:в\s*)?$",
            before,
        )
        or compiled(rf"[ -]*{_KV}").match(after)
    )
