"""One text to a frame: names first, then numbers, so that the 70 of «70b» is no number."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from advisor.consultation.understanding import precision, quantities
from advisor.consultation.understanding.frame import Frame, UnknownName
from advisor.consultation.understanding.numbers import Reader
from advisor.consultation.understanding.text import normalize
from knowledge.devices import CatalogDevice, catalog, find_gpu, gpus_in
from knowledge.known_models import (
    Architecture,
    architectures_in,
    find_architecture,
    known_architectures,
)
from knowledge.names import Mention
from knowledge.patterns import compiled
from knowledge.support import find_engine

_ENGINES = (
    r"vllm|в?ллм|sglang|сгланг|tensorrt(?:-llm)?|trt-?llm|tgi|llama\.?cpp|лама\.?цпп|triton|ollama|onnx"
    r" ?runtime|lmdeploy|transformers"
)
_GPU_LIKE = (
    r"(?<![\w-])((?:nvidia |rtx |geforce |tesla |gtx |radeon |rx |instinct"
    r" )?[abhlvtpgm][bhi]?\d{2,4}[a-z]{0,3}|rtx[ -]?\d{4}\w*|gtx[ -]?\d{3,4}\w*)(?![\w.-])"
)
_BARE_CARD = (
    r"(?<![\w.,-])((?:10[5-8]0|16[56]0|20[678]0|30[5-9]0|40[5-9]0|50[5-9]0)(?:\s?ti|"
    r" super)?)(?![\w.,-]|\s*(?:ток|tok|мс|ms|запр|req|к\b|\$|руб))"
)
_APPLE = (
    r"(?<![\w-])((?:mac\w*|мак(?!сим)\w*|apple)[\s-]*(?:m[1-5][\s-]*)?"
    r"(?:pro|max|ultra|studio|mini|air|book)?|m[1-5][\s-](?:pro|max|ultra))(?![\w-])"
)
_MODEL_LIKE = (
    r"(?<![\w.-])((?:[a-zа-я][\w.]*[ -]){0,3}[a-z][\w.]*-[\w.-]*\d[\w.-]*|(?:[a-z]\w*["
    r" -]?)(?:\d[\w.]*[ -])?\d+(?:\.\d+)?[bб](?:-\w+)*)(?![\w])"
)
_FAMILY = (
    r"(?:l+ama|qwen|mistral|mixtral|gemma|phi|deepseek|falcon|yi|gpt(?!q)|grok|claude|glm|kimi|command|granite|nemotron|olmo|л+ам\w*|квен\w*|мистрал\w*|гемм\w*|дипсик\w*|грок\w*|гигачат\w*|gigachat|yandexgpt|яндекс"
    r" ?гпт)"
)
_SIZE = (
    r"(?<![\w.,])(\d+(?:[.,]\d+)?)\s*(?:b|б|млрд|миллиард\w*|"
    r"billion)(?![a-zа-я])\s*(?:параметр\w*|param\w*)?"
)
_NOT_A_NAME = re.compile(
    r"int|fp|bf|w\d|q\d|gpt-?q|kv|p\d\d|tp|pp|max-|chunked|flash|top-|e2e|n-gram|multi|pre-?fill|auto|low|long|open|speed|real|a/b|circuit"
)


@lru_cache(maxsize=256)
def read(text: str) -> Frame:
    """What one message says."""
    plain = normalize(text)
    values: dict[str, Any] = {}
    reader = Reader(_plain_models(plain))
    _engines(reader, values)
    formats = precision.read(reader)
    devices = _gpus(reader, values)
    _models(reader, values)
    if not devices and (values["models"] or values.get("parameters")):
        _processor(reader, devices)
    _counts(reader, values, devices)
    values |= formats
    _memory(reader, values)
    devices = [_of_memory(device, values.get("gpu_memory_gb"), len(devices)) for device in devices]
    values |= quantities.read(reader)
    values["gpus"] = tuple(device.stem for device in devices)
    if compiled(r"(?:без|нет|no|without)\s+(?:\w+\s)?nvlink|только pcie|по pcie").search(plain):
        values["nvlink"] = False
    elif "nvlink" in plain or "нвлинк" in plain:
        values["nvlink"] = True
    return Frame(**values)


_VARIANT = (
    r"((?:qwen|квен)[\d.]*|л+ам\w*[\s-]?[\d.]*|l+ama[\s-]?[\d.]*|mistral|gemma[\s-]?\d?)[\s-]"
    r"(?:coder|math|instruct|chat|vl|it|base|кодер)[\s-](\d+(?:\.\d+)?[bб])(?![a-zа-я])"
)
_BARE_SIZE = (
    r"((?:л+ам\w*|l+ama|квен\w*|qwen|мистрал\w*|дипсик\w*)(?:[\s-]?\d\.\d)?)[\s-]"
    r"(7|8|13|14|32|34|70|72|123|235|405|671)(?![\d.,]*\d|\s*[bбkк%]|\s*(?:млрд|запр|юзер|польз|гб|gb|ток|карт))"
)
_ORGANIZATION = r"(?<![\w/.-])[a-z][\w-]{2,}/(?=[a-z][\w.]*-[\w.-]*\d)"
"""Of an id on the hub: «mistralai» of «mistralai/Mistral-Small-24B» names no model."""
_ACTIVE = (
    r"(?:активн\w+|active)\s*\d+(?:[.,]\d+)?\s*[bб]|"
    r"(?<![xх\d.])\d+(?:[.,]\d+)?\s*[bб]\s*(?:активн\w+|active)"
)


def _plain_models(plain: str) -> str:
    """Model names as the catalog has them: a coder has the base's shape, «лама 405» is a 405B."""
    plain = compiled(_ORGANIZATION).sub("", plain)
    plain = plain.replace("llama-server", "llama.cpp").replace("llama-cli", "llama.cpp")
    plain = compiled(_VARIANT).sub(r"\1-\2", plain)
    plain = compiled(_ACTIVE).sub("активные", plain)
    return compiled(_BARE_SIZE).sub(r"\1 \2b", plain)


@lru_cache(maxsize=256)
def masked(text: str) -> str:
    """The question made even, with devices and models marked in their places: ⟦GG⟧, ⟦MM⟧."""
    reader = Reader(_plain_models(normalize(text)))
    values: dict[str, Any] = {}
    _gpus(reader, values)
    _models(reader, values)
    return reader.text


@lru_cache(maxsize=256)
def outline(text: str, *, numbers: bool = True) -> str:
    """The question without its particulars: names to «модель» and «карта», numbers to «#».

    With `numbers` false the numbers stay: «2:4» is a word of its topic.
    """
    plain = masked(text)
    for marks, word in (("⟦G+⟧?", "карта"), ("⟦M+⟧?", "модель"), ("⟦U+⟧?", "имя")):
        plain = re.sub(marks, f" {word} ", plain)
    if not numbers:
        return re.sub(r"\s+", " ", plain).strip()
    return re.sub(r"\s+", " ", re.sub(r"(?<![a-zа-я-])\d+(?:[.,]\d+)?", " # ", plain)).strip()


def _engines(reader: Reader, values: dict[str, Any]) -> None:
    names: list[str] = []
    for match in list(compiled(rf"(?<![a-zа-я])(?:{_ENGINES})(?![a-zа-я])").finditer(reader.text)):
        found = find_engine(match[0]).found
        names.append(found.stem if found else match[0])
        reader.hide(*match.span())
    if names:
        values["engine"], values["engines"] = names[0], tuple(dict.fromkeys(names))


def _gpus(reader: Reader, values: dict[str, Any]) -> list[CatalogDevice]:
    """Devices in the order of the text; each is replaced by ⟦…⟧ of the same length."""
    found: list[CatalogDevice] = []
    plain = reader.text
    for mention in gpus_in(reader.text):
        device, text = mention.match.found, reader.text[mention.start : mention.end]
        if device is None or not _is_device(reader.text, mention, text):
            continue
        if device.stem not in {known.stem for known in found}:
            found.append(device)
        _mark(reader, mention.start, mention.end, "G")
    both = compiled(_VARIANTS).search(plain)
    if both and len(found) == 1:
        family = found[0].stem.split("-")[0]
        named = [
            next((g for g in catalog("gpu") if g.stem.startswith(f"{family}-{both[i]}")), None)
            for i in (1, 2)
        ]
        found = [device for device in named if device] if all(named) else found
    for match in list(compiled(_BARE_CARD).finditer(reader.text)):
        _unknown(values, f"RTX {match[1].upper()}", find_gpu(f"rtx {match[1]}").near)
        _mark(reader, *match.span(1), "U")
    for match in list(compiled(_GPU_LIKE).finditer(reader.text)):
        near = find_gpu(match[1]).near
        if compiled(r"p\d\d").match(match[1]) or (
            compiled(r"[mbt]\d").match(match[1]) and not near
        ):
            continue
        _unknown(values, match[1].upper(), near)
        _mark(reader, *match.span(1), "U")
    if not found:
        for match in list(compiled(_APPLE).finditer(reader.text)):
            _unknown(values, match[1].strip().title(), ("m3-ultra", "m4-max"))
            _mark(reader, *match.span(1), "U")
            break
    return found


_CPUS = (
    (r"xeon|зеон|ксеон|intel", "xeon-8480"),
    (r"epyc|эпик\w*|amd", "epyc-9654"),
    (r"ryzen|райзен\w*", "ryzen-9-7950x"),
    (r"процессор\w*|cpu|цпу|без (?:gpu|видеокарт\w*|гпу)", "xeon-8480"),
)


_VARIANTS = (
    r"(?<![a-z])(pcie|sxm|nvl)\d?\s*(?:или|vs|против|or|от|,|и)\s*(pcie|sxm|nvl)\d?(?![a-z])"
)
"""«H100 PCIe или SXM»: two variants of one card."""
_DESKTOP = r"ddr\d|ддр\d|домашн|десктоп|desktop|ноут|laptop|дома(?![а-я])|игров"
"""A processor of a desktop, not of a server."""


def _processor(reader: Reader, found: list[CatalogDevice]) -> None:
    """«на процессоре», "on CPU": a usual server processor where no card was named."""
    on = (
        r"(?:на|on|with)\s+(?:\d\s+)?(?:обычн\w+ |голом |одном |чистом )?"
        r"(?:процессор\w* |cpu )?(?:intel |amd )?"
    )
    for words, stem in _CPUS:
        match = compiled(rf"{on}({words})(?![a-zа-я]|\s*\d+\s*%)").search(reader.text)
        if match:
            home = words.startswith("процессор") and compiled(_DESKTOP).search(reader.text)
            usual = "ryzen-9-7950x" if home else stem
            found.append(next(cpu for cpu in catalog("cpu") if cpu.stem == usual))
            _mark(reader, *match.span(1), "G")
            return


def _of_memory(device: CatalogDevice, gigabytes: float | None, named: int) -> CatalogDevice:
    """«A100 на 40 ГБ»: the variant of the same card with that memory, where there is one."""
    if (
        gigabytes is None
        or named != 1
        or abs(device.device.memory_bytes / 1e9 / gigabytes - 1) < 0.13
    ):
        return device
    name = device.stem.split("-")[0] if not device.stem.startswith("rtx") else device.stem
    same = [g for g in catalog("gpu") if g.stem == name or g.stem.startswith(f"{name}-")]
    fitting = [g for g in same if abs(g.device.memory_bytes / 1e9 / gigabytes - 1) < 0.13]
    return max(fitting, key=lambda g: g.weight, default=device)


def _is_device(text: str, mention: Mention[CatalogDevice], name: str) -> bool:
    """A bare number that counts something is no card: «4090 токенов», «а 40 %», «а 30 юзеров»."""
    beside = text[mention.end : mention.end + 12]
    if compiled(r"\s*(?:%|процент)").match(beside):
        return False
    if compiled(r"а\s.*").fullmatch(name):
        return bool(compiled(r"(?:на|\d|x|карт\w*)\s*$").search(text[: mention.start]))
    if not compiled(r"\d+").fullmatch(name):
        return bool(compiled(r"\d").search(name)) or len(name) > 3
    after = text[mention.end : mention.end + 8]
    return not compiled(r"\s*(?:ток|tok|мс|ms|с\b|s\b|запр|req|к\b|\$|руб)").match(after)


def _models(reader: Reader, values: dict[str, Any]) -> None:
    found: list[Architecture] = []
    for mention in _real(reader.text, architectures_in(reader.text)):
        model = mention.match.found
        text = reader.text[mention.start : mention.end]
        if model is None or "⟦" in text or "⟧" in text:
            continue
        longer = _other_size(reader.text, mention.end, text)
        if longer and _same_size(longer, model):
            reader.hide(mention.end, mention.end + len(longer))
            longer = ""
        if longer:
            _unknown(values, text + longer, _siblings(text, longer))
            _mark(reader, mention.start, mention.end + len(longer), "U")
            continue
        if not found:
            values["model_text"] = text
            values["model_guessed"] = mention.match.others if _bare(text) else ()
        if model.stem not in {known.stem for known in found}:
            found.append(model)
        _mark(reader, mention.start, mention.end, "M")
    values["models"] = tuple(model.stem for model in found)
    _size(reader, values, known=bool(found))
    if not found and not any(
        compiled(r"[a-zа-я]{3}").search(name.text.lower()) for name in values.get("unknown", ())
    ):
        _unknown_model(reader, values)


def _real(text: str, mentions: Sequence[Mention[Architecture]]) -> list[Mention[Architecture]]:
    """Without a number a name must be a family's; a typo must keep the family's first letters."""
    kept = []
    for mention in mentions:
        name = text[mention.start : mention.end]
        if not compiled(r"\d").search(name) and not compiled(_FAMILY).search(name):
            continue
        if compiled(r"[\d.,\s]+в?").fullmatch(name.strip()):
            continue
        if not compiled(_FAMILY).search(name) and compiled(r"\s*(?:ток|tok|запрос|request)").match(
            text[mention.end :]
        ):
            continue
        if mention.match.how == "typo" and not compiled(rf"{_FAMILY}|\d\s*[bб]").search(name):
            continue
        kept.append(mention)
    return kept


def _other_size(text: str, end: int, name: str) -> str:
    """The size that follows a family's name and belongs to no known member: «qwen2.5» + «-33b»."""
    if compiled(r"\d\s*[bб]$").search(name):
        return ""
    match = compiled(r"[\s-]*\d+(?:[.,]\d+)?\s*[bб](?![a-zа-я])").match(text[end:])
    return match[0] if match else ""


def _same_size(size: str, model: Architecture) -> bool:
    """«DeepSeek-R1 671B»: the size that the model has anyway."""
    said = float(re.sub(r"[^\d.]", "", size.replace(",", "."))) * 1e9
    return abs(said / model.facts.parameters - 1) < 0.06


def _siblings(name: str, size: str) -> tuple[str, ...]:
    """Members of the same family, those nearest in size first."""
    wanted = float(re.sub(r"[^\d.]", "", size.replace(",", ".")) or 0) * 1e9
    family = {m.match.found.stem.rsplit("-", 1)[0] for m in architectures_in(name) if m.match.found}
    members = [a for stem, a in known_architectures().items() if stem.rsplit("-", 1)[0] in family]
    members.sort(key=lambda a: abs(a.facts.parameters - wanted))
    return tuple(
        a.title.replace(" ", "-", 1) if a.title.count(" ") == 1 else a.title for a in members[:3]
    )


def _bare(text: str) -> bool:
    return bool(
        compiled(r"[\d.,\s]+(?:b|б|млрд|миллиард\w*)?").fullmatch(text.strip())
        or compiled(rf"{_FAMILY}[\s-]*\d+\s*[bб]?").fullmatch(text)
    )


def _size(reader: Reader, values: dict[str, Any], *, known: bool) -> None:
    match = compiled(_SIZE).search(reader.text)
    if match is None:
        return
    tail = reader.text[match.end() : match.end() + 10]
    if compiled(r"\s*(?:ток|tok|запрос)").match(tail):
        return
    size = float(match[1].replace(",", ".")) * 1e9
    if not known:
        values["parameters"] = size
        model = find_architecture(f"{match[1]}b").found
        if model is not None:
            values["models"] = (model.stem,)
            values["model_text"] = f"{match[1]}B"
    reader.hide(*match.span())


def _unknown_model(reader: Reader, values: dict[str, Any]) -> None:
    """A name with a family's word or the shape of a model's name, which no catalog knows."""
    if values["models"]:
        return
    family = re.search(
        rf"(?<![a-zа-я]){_FAMILY}[\w.-]*(?:[ -]\d[\w.]*)?(?:["
        r" -](?:\d+[bб]|ultra|pro|max|mini|large|small|nano))*",
        reader.text,
    )
    shaped = next(
        (m for m in compiled(_MODEL_LIKE).finditer(reader.text) if not _NOT_A_NAME.match(m[1])),
        None,
    )
    match = family or shaped
    if match is None:
        return
    name = match[0].strip()
    if compiled(_FAMILY).fullmatch(name) and not compiled(
        r"grok|грок|claude|gigachat|гигачат|yandexgpt"
    ).fullmatch(name):
        return
    _unknown(values, name, find_architecture(name).near)
    values.pop("parameters", None)
    reader.hide(*match.span())


def _unknown(values: dict[str, Any], text: str, near: Sequence[str]) -> None:
    values["unknown"] = (*values.get("unknown", ()), UnknownName(text=text, near=tuple(near)))


def _mark(reader: Reader, start: int, end: int, letter: str) -> None:
    width = end - start
    token = f"⟦{letter * (width - 2)}⟧" if width > 2 else f"⟦{letter}"[:width]
    reader.text = reader.text[:start] + token + reader.text[end:]


_G = r"⟦[GU]+⟧?"
_GPU_WORDS = (
    r"(?:карт\w*|видеокарт\w*|gpu|гпу|gpus|ускорител\w*|штук\w*|шт\.?|видюх\w*|accelerators?|"
    r"cards?)(?![a-zа-я])"
)


def _counts(reader: Reader, values: dict[str, Any], devices: Sequence[CatalogDevice]) -> None:
    """How many of each device, tp, pp and nodes."""
    for name, key in (
        ("tp", "tp"),
        ("tensor[- ]parallel(?:[- ]size)?", "tp"),
        ("pp", "pp"),
        ("pipeline[- ]parallel(?:[- ]size)?", "pp"),
    ):
        found = reader.first(rf"(?<![a-zа-я]){name}\s*[=:]?\s*(\d+)(?!\d)")
        if found:
            values[key] = round(found.value)
    nodes = reader.first(
        r"(\d+)\s*(?:узл\w*|нод\w*|сервер\w*|хост\w*|nodes?|hosts?|servers?)(?![a-zа-я])"
    )
    if nodes and nodes.value > 1:
        values["nodes"] = round(nodes.value)
    counts: list[int | None] = []
    position = 0
    for _ in devices:
        match = compiled(_G).search(reader.text[position:])
        start = position + match.start() if match else len(reader.text)
        counts.append(_count_beside(reader, start, match.end() + position if match else start))
        position = start + len(match[0]) if match else len(reader.text)
    values["gpu_counts"] = tuple(counts) if any(counts) else ()
    bare = reader.first(rf"(?<![\w.,])(\d+)\s*(?:x\s*)?(?:{_GPU_WORDS}|игров\w+ карт\w*)")
    each = bare and compiled(r"(?<![a-zа-я])(?:по|на кажд\w+)\s*$").search(bare.before)
    if bare and bare.value <= 4096 and not (each and bare.value == 1):
        values["gpu_count"] = round(bare.value)
    if (
        values.get("nodes")
        and values.get("gpu_count")
        and compiled(r"по\s*·|по \d").search(reader.text)
    ):
        values["gpu_count"] *= values["nodes"]
    if values.get("nodes") and counts and counts[0] and compiled(r"по\s*·").search(reader.text):
        values["gpu_counts"] = (counts[0] * values["nodes"], *counts[1:])
    if values.get("gpu_count") and counts and counts[0] is None and len(counts) == 1:
        values["gpu_counts"] = (values["gpu_count"],)


def _count_beside(reader: Reader, start: int, end: int) -> int | None:
    before = compiled(
        rf"(?<![\w.,$/=-])(\d{{1,4}})\s*(?:-?х|-?мя|-?ми)?\s*(?:x|х|\*|×)?\s*(?:{_GPU_WORDS}\s*)?(?:nvidia|rtx|tesla|geforce)?\s*$"
    ).search(
        reader.text[:start],
    )
    if before:
        reader.hide(before.start(1), before.end(1))
        return int(before[1])
    after = compiled(
        rf"\s*(?:(?:\d+\s*(?:гб|gb|гиг\w*|gib)\s*)?(?:x|х|\*|×)\s*(\d{{1,3}})(?!\d)|[,(]?\s*(\d{{1,3}})\s*(?:шт\w*|{_GPU_WORDS}))"
    ).match(
        reader.text[end:],
    )
    if after:
        group = 1 if after[1] else 2
        reader.hide(end + after.start(group), end + after.end(group))
        return int(after[group])
    return None


def _memory(reader: Reader, values: dict[str, Any]) -> None:
    size = r"(?<![\w.,])(\d+)\s*(?:гб|гигабайт\w*|гиг\w*|gb|gib|g)?"
    host = r"(?:оперативк\w*|оперативн\w*(?: памят\w*)?|озу|ram|ддр\d|ddr\d)(?![a-zа-я])"
    ram = reader.first(rf"{size}\s*{host}") or reader.first(rf"{host}\s*(?:на\s*)?{size[11:]}")
    if ram and compiled(r"гб|гиг|gb|оператив|озу|ram").search(reader.text + "ram"):
        values["ram_gb"] = ram.value
    found = reader.first(
        r"(?<![\w.,])(\d+(?:[.,]\d+)?)[\s-]*(?:х\s*)?(?:гб|гигабайт\w*|гиг\w*|gb|gib|гиб|g)"
        r"(?![a-zа-я]|\s*(?:ethernet|эзернет|бит|bit|сет|infiniband|/))"
    )
    if found:
        values["gpu_memory_gb"] = found.value
