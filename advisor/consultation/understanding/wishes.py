"""What a launch command shall hold besides the model: flags that a question names in words."""

import json
import re
from dataclasses import dataclass

from advisor.consultation.understanding.text import normalize
from knowledge.patterns import compiled

_HUB = r"(?<![\w/.:-])([A-Za-z0-9][\w-]*/[A-Za-z][\w.-]*\w)(?![\w/])"
_DRAFT = r"(?:чернов\w*|драфт\w*|draft\w*|спекулятив\w*|speculat\w*)"
_PATH = r"(?<![\w:])(/[\w./-]*\w)"
_NAMED_PATH = rf"([\w-]+)\s+(?:лежит|лежат|находится|в|из|at|in|=|:)[^,;/]{{0,15}}{_PATH}"
_N = r"(\d+)"
_NUMBERS: tuple[tuple[str, str], ...] = (
    ("port", rf"(?:порт\w*|port)\s*[=:]?\s*(?:на\s*)?{_N}"),
    ("max-num-batched-tokens",
     rf"(?:max[-_ ]num[-_ ]batched[-_ ]tokens\s*[=:]?\s*|chunked[-_ ]prefill[^.;]{{0,25}}?|"
     rf"чанк\w*[^.;]{{0,25}}?){_N}(?=\s*ток|\s*tok|[\s,.;]|$)"),
    ("max-num-seqs",
     rf"(?:max[-_ ]num[-_ ]seqs\s*[=:]?\s*|не (?:больше|более)\s+){_N}"
     r"(?=\s*(?:последоват|запрос|sequences|seqs|requests|,|$))"),
    ("max-lora-rank", rf"(?:ранг\w*|rank)\D{{0,20}}{_N}"),
    ("block-size", rf"block[-_ ]size\s*[=:]?\s*{_N}"),
)  # fmt: skip
_NAME = (
    r"(?:модель (?:называлась|называется|звалась|была)|под именем|served[-_ ]model[-_ ]name)\s*"
    r"[=:]?\s*"
    r"([\w.-]+)"
)
_CACHE = r"(?:кеш|кэш|cache)\w*[^/]{0,40}(/[\w./-]*\w)"
_ALL_HOSTS = r"всех интерфейс|0\.0\.0\.0|all interfaces|наружу"
_SWITCHES: tuple[tuple[str, str], ...] = (
    ("no-enable-prefix-caching",
     r"(?:без|выключ\w*|отключ\w*|no)\s+(?:кеш\w*\s+)?(?:префикс|prefix)"),
    ("enable-prefix-caching", r"(?:prefix|префикс)\w*[-\s]+(?:cach|ке?ш|кеш|кэш)|кеш\w*\s+префикс"),
    ("enforce-eager", r"enforce[-_ ]eager|без (?:cuda[- ]?)?граф|without cuda graph"),
    ("enable-chunked-prefill", r"chunked[-_ ]prefill|чанк\w* префил"),
    ("enable-expert-parallel", r"expert[-_ ]parallel|эксперт\w* паралл"),
    ("async-scheduling", r"async[-_ ]scheduling"),
)  # fmt: skip
_SHARE = (
    r"(\d{1,3}(?:[.,]\d+)?)\s*(?:%|процент\w*)\s*(?:памят\w*|vram|memory)|"
    r"памят\w*\s*(0[.,]\d+)|mem(?:ory)?[-_ ]fraction(?:[-_ ]static)?\s*[=:]?\s*(0?[.,]\d+)|"
    r"gpu[-_ ]memory[-_ ]utilization\s*[=:]?\s*(0?[.,]\d+)|util\w*\s*[=:]?\s*(0[.,]\d+)"
)
_HUB_LOGIN = (
    r"hf[-_ ]?(?:token|токен\w*)|токен\w* (?:hf|хф|huggingface|хаба)|huggingface token|"
    r"hugging_face_hub"
)


@dataclass(frozen=True)
class Wishes:
    """Flags by name in vLLM's spelling; a switch has True."""

    flags: dict[str, str | bool]
    model: str | None = None
    """The hub's id as the user spelled it."""
    hub_token: bool = False
    """The hub's token goes into the container, from the host's environment."""
    everywhere: bool = False
    """Listen on all interfaces."""
    cache: str | None = None
    """Where the host keeps the hub's files."""
    gguf: str | None = None
    """A .gguf file, for llama.cpp."""


def wishes(raw: str) -> Wishes:
    """What one message asks of the command."""
    text = normalize(raw)
    flags: dict[str, str | bool] = {}
    for name, pattern in _NUMBERS:
        found = compiled(pattern).search(text)
        if found:
            flags[name] = found[1]
    for name, pattern in _SWITCHES:
        if compiled(pattern).search(text) and f"no-{name}" not in flags:
            flags[name] = True
    share = compiled(_SHARE).search(text)
    if share:
        value = float(next(group for group in share.groups() if group).replace(",", "."))
        flags["gpu-memory-utilization"] = f"{value / 100 if value > 1 else value:g}"
    adapters = _adapters(raw, text)
    if adapters:
        flags |= {"enable-lora": True, "lora-modules": " ".join(adapters)}
        if len(adapters) > 1:
            flags["max-loras"] = str(len(adapters))
    else:
        flags.pop("max-lora-rank", None)
    names = re.findall(_HUB, re.sub(r"https?://\S+", " ", raw))
    names = [name for name in names if not name.startswith(("vllm/", "n/"))]
    draft = _draft(raw, names)
    if draft:
        flags["speculative-config"] = _speculative(draft, text)
    rest = [name for name in names if name != draft]
    named = re.search(_NAME, raw, re.I)
    if named:
        flags["served-model-name"] = named[1]
    cache, gguf = re.search(_CACHE, raw, re.I), re.search(r"(/?[\w./-]+\.gguf)", raw)
    return Wishes(
        flags,
        rest[0] if rest else None,
        bool(compiled(_HUB_LOGIN).search(text)),
        bool(compiled(_ALL_HOSTS).search(text)),
        cache[1] if cache else None,
        gguf[1] if gguf else None,
    )


def _adapters(raw: str, text: str) -> list[str]:
    """`name=path` of every LoRA."""
    if not compiled(r"lora|лор[аыуе]|адаптер").search(text):
        return []
    named = re.findall(_NAMED_PATH, raw)
    if named:
        return [f"{name}={path}" for name, path in named]
    return [f"{path.rstrip('/').rsplit('/', 1)[-1]}={path}" for path in re.findall(_PATH, raw)]


def _draft(raw: str, names: list[str]) -> str | None:
    """The id that follows a word for a draft; the second one where only such a word is there."""
    for name in names:
        before = raw[: raw.find(name)].lower()
        if re.search(rf"{_DRAFT}[^/]{{0,25}}$", before) and len(names) > 1:
            return name
    return None


def _speculative(model: str, text: str) -> str:
    count = re.search(
        r"по\s+(\d+)\s*ток|num[-_ ]speculative[-_ ]tokens\D{0,4}(\d+)|k\s*=\s*(\d+)", text
    )
    tokens = int(next((g for g in count.groups() if g), "5")) if count else 5
    fields = {"method": "draft_model", "model": model, "num_speculative_tokens": tokens}
    return f"'{json.dumps(fields)}'"
