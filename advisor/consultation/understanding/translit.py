"""Russian written in Latin letters («kak zapustit», "skolko nuzhno pamyati") back to Russian."""

import re

_TELLING = re.compile(
    r"\b(kak(oy|aya|oe|ie|uyu|oi)?|skol'?ko|skoka|nu[zj]h?no|nado|pochemu|potyanet|vlez(et|ut|it)|"
    r"[hk]+h?vatit|zapust\w+|podnya\w+|videokart\w*|pamyat\w*|zaprosov|polzovatel\w*|chto|gde|stoit|"
    r"mozhno|esli|bystree|luchshe|vybrat|tormozit|medlenno|odnoy|dvuh|kart(a|e|u|ah)?|yuzer\w*)\b"
)
_TERMS = """
    llama lama qwen kven mistral mixtral gemma phi deepseek falcon yi gpt oss glm kimi command
    granite nemotron olmo vllm sglang tgi triton tensorrt trt llm ollama cpp nvidia rtx geforce
    tesla amd gpu gpus cpu vram ram kv cache batch token tokens tok context kontekst prompt ttft
    tpot itl rps qps slo tp pp dp ep awq gptq gguf fp bf int mb gb tb ms s x k m b in out input
    output nvlink pcie instruct chat coder code distill scout maverick ada super ti sxm lora moe
    rag api prefix prefill decode chunked speculative eagle mtp users user
"""
_SAID = {"token": "токен", "tokens": "токенов", "kontekst": "контекст"}
_KEPT = frozenset(_TERMS.split())
_LETTERS = (
    ("shch", "щ"), ("sch", "щ"), ("yo", "е"), ("zh", "ж"), ("kh", "х"), ("ch", "ч"), ("sh", "ш"),
    ("yu", "ю"), ("ju", "ю"), ("ya", "я"), ("ja", "я"), ("ts", "ц"), ("iy", "ий"), ("yy", "ый"),
    ("a", "а"), ("b", "б"), ("c", "ц"), ("d", "д"), ("e", "е"), ("f", "ф"), ("g", "г"), ("h", "х"),
    ("i", "и"), ("j", "й"), ("k", "к"), ("l", "л"), ("m", "м"), ("n", "н"), ("o", "о"), ("p", "п"),
    ("q", "к"), ("r", "р"), ("s", "с"), ("t", "т"), ("u", "у"), ("v", "в"), ("w", "в"), ("x", "х"),
    ("z", "з"), ("'", "ь"),
)  # fmt: skip
_SOFT = re.compile(r"(?<=ско)л(?=к)|(?<=бо)л(?=ш)|(?<=ме)н(?=ш)|(?<=по)л(?=зов)|(?<=то)л(?=ко)")
_ENDINGS = (
    (re.compile(r"(?<=[а-я]{2})ыи\b"), "ый"),
    (re.compile(r"(?<=[а-я]{2})ои\b"), "ой"),
    (re.compile(r"(?<=[а-я]{2})ии\b(?=\s\w)"), "ий"),
    (re.compile(r"\b((?:как|можно|нужно|надо|чем)\s[а-я]{3,}[иа]т)\b"), r"\1ь"),
)
"""What Latin spelling loses: «pervyi», «kak uskorit»."""
_WORD = re.compile(r"(?<![\w.-])[a-z']{1,}(?![\w-])")


def to_russian(plain: str) -> str:
    """The text with its Russian words in Cyrillic; anything else as it was."""
    if re.search("[а-я]", plain) or len(_TELLING.findall(plain)) < 1:
        return plain
    russian = _WORD.sub(lambda match: _word(match[0]), plain)
    russian = _SOFT.sub(lambda match: match[0] + "ь", russian)
    for ending, letters in _ENDINGS:
        russian = ending.sub(letters, russian)
    return russian


def _word(word: str) -> str:
    if word in _SAID:
        return _SAID[word]
    if word in _KEPT:
        return word
    rest, letters = word, ""
    while rest:
        if rest[0] == "y" and not rest.startswith(("yo", "yu", "ya")):
            letters += "й" if letters and letters[-1] in "аеиоуыэюя" else "ы"
            rest = rest[1:]
            continue
        latin, cyrillic = next(pair for pair in _LETTERS if rest.startswith(pair[0]))
        letters, rest = letters + cyrillic, rest[len(latin) :]
    return letters
