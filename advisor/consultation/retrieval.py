"""BM25 over the cards and the playbook, with Russian and English stems."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import snowballstemmer

from advisor.consultation.answers import _notes
from advisor.consultation.understanding import text as text_module
from advisor.consultation.understanding.text import normalize
from knowledge.cards import FOLDER as CARDS
from knowledge.cards import load_cards
from knowledge.files import kept
from knowledge.patterns import compiled

_STOP_WORDS = """
что такое как для это при или чем на не по из за от до мы вы он она есть ли же бы и в с
у о а к но то так the a an is are of to in for on and or how what does do нужно надо
можно стоит лучше какой какая какие когда зачем почему если будет быть мне нам нас меня
сколько где our my i we you me it этот того тоже ещё еще там тут же вот про
"""
_LETTER = re.compile("[a-zа-я0-9]")
_STOP = frozenset(_STOP_WORDS.split())
_SYNONYMS = {
    "кэш": "кеш",
    "kv-cache": "kv",
    "квантизация": "квантование",
    "батчинг": "batching",
    "батч": "batch",
    "спекулятивный": "speculative",
    "спекулятивное": "speculative",
    "префикс": "prefix",
    "префиксный": "prefix",
    "чанк": "chunked",
    "прунинг": "pruning",
    "прореживание": "pruning",
    "обрезка": "pruning",
    "ретрай": "retry",
    "ретраи": "retry",
    "повтор": "retry",
    "дистилляция": "distillation",
    "дистиллировать": "distillation",
    "лора": "lora",
    "адаптер": "lora",
    "мониторинг": "monitoring",
    "мониторить": "monitoring",
    "прогрев": "warm-up",
    "балансировка": "load-balancing",
    "балансировщик": "load-balancing",
    "стриминг": "streaming",
    "таймаут": "timeout",
    "внимание": "attention",
    "декодирование": "decoding",
    "деградация": "degradation",
    "приоритет": "priority",
}
_DOMAIN = re.compile(
    r"llm|модел|ток/с|tok/s|бенч|bench|нод[аеуы]|max[-_"
    r" ]|inference|инференс|gpu|гпу|карт|видеокарт|cuda|vllm|sglang|tgi|triton|tensorrt|"
    r"onnx|llama|квант|quant|batch|батч|ток[её]н|token|kv|ttft|tpot|itl|latency|задержк|"
    r"латентн|throughput|"
    r"prefill|префилл?|decode|декод|attention|внимани|памят|oom|memory|lora|лора|дистил|distill|прун|prun|спекул|specul|draft|чернов|eagle|mtp|medusa|кеш|кэш|cache|паралл|nvlink|rps|slo|goodput|стрим|sse|очеред|"
    r"монитор|метрик|алерт|прогрев|сервер|запрос|фп8|fp8|int4|int8|bf16|fp16|awq|gptq|gguf|смус|smooth|moe|эксперт|expert|контекст|context|промпт|prompt|checkpoint|чекпоинт|веса|весов|safetensors|roofline|"
    r"спот|spot|маршрут|routing|circuit|retry|ретра|backoff|таймаут|timeout|деград|балансир|rag|вывод|нейросет|нейронк|гпт|gpt|дообуч|fine-?tun|tucker|разложен|lottery|билет|offload|выгру|mla|gqa|mqa|flash|scheduler|планировщ|cpu|ядра|kernel|граф|graph|утечк|leak|перцентил|p9[59]|литтл|little|sparsity|разреж|2:4|скорост|ускор|медлен|тормоз|embedding|эмбед|rope|yarn|реплик|rate.?(limit|лимит)|nccl|infiniband|ollama|трансформер|transformer|генерац"
)


@dataclass(frozen=True)
class Hit:
    """A page that answers, how well, and whether it was named outright."""

    kind: Literal["card", "note"]
    name: str
    score: float
    exact: bool


@lru_cache(maxsize=1)
def _stemmers() -> tuple[Any, Any]:
    return snowballstemmer.stemmer("russian"), snowballstemmer.stemmer("english")


def stems(text: str) -> list[str]:
    """Words to their stems: Russian ones by the Russian stemmer, Latin ones by the English."""
    text = re.sub("структурированн", "структурн", text)
    russian, english = _stemmers()
    words = [
        w for w in re.findall(r"[a-zа-я0-9]+(?:[-_:][a-z0-9]+)*", normalize(text)) if w not in _STOP
    ]
    parts = [
        p for w in words for p in ((w, *re.split(r"[-_:]", w)) if re.search(r"[-_:]", w) else (w,))
    ]
    found = []
    for word in parts:
        stem = (russian if re.search("[а-я]", word) else english).stemWord(word)
        found.append(stem)
        other = _synonyms().get(stem)
        if other:
            found += other
    return [stem for stem in found if len(stem) > 1]


@lru_cache(maxsize=1)
def _synonyms() -> dict[str, list[str]]:
    russian, english = _stemmers()
    return {
        russian.stemWord(key): [
            (russian if re.search("[а-я]", part) else english).stemWord(part)
            for part in value.split("-")
        ]
        for key, value in _SYNONYMS.items()
    }


def in_domain(text: str) -> bool:
    """Whether a question is about inference at all."""
    return bool(_DOMAIN.search(text)) or bool(_named(text))


@lru_cache(maxsize=256)
def _named(text: str) -> dict[str, int]:
    """Pages that the question names: the length of the longest pattern or keyword found."""
    plain = normalize(text).replace("структурированн", "структурн")
    found: dict[str, int] = {}
    for note in _notes.playbook().values():
        lengths = [
            len(match[0])
            for pattern in note.match
            for match in [compiled(pattern).search(plain)]
            if match
        ]
        if lengths and note.kind != "diagnosis":
            found[f"note:{note.name}"] = 2 * max(lengths)
    for card, keys in _keywords():
        lengths = [len(key) for key in keys if _begins_a_word(key, plain)]
        if lengths:
            found[f"card:{card}"] = max(lengths)
    return found


def _begins_a_word(key: str, text: str) -> bool:
    """Whether it stands in the text with no letter or digit before it. Faster than a pattern."""
    at = text.find(key)
    while at >= 0:
        if at == 0 or not _LETTER.match(text[at - 1]):
            return True
        at = text.find(key, at + 1)
    return False


@lru_cache(maxsize=1)
def _keywords() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Names of each card as people write them, Russian ones without their endings."""
    return tuple(
        (
            card.name,
            tuple(
                {
                    _trunk(normalize(name))
                    for name in (card.name.replace("-", " "), card.name, *card.keywords)
                }
                - {""}
            ),
        )
        for card in load_cards()
    )


def _trunk(name: str) -> str:
    """«мультилора» without its ending; short names stay whole."""
    return (
        re.sub(r"(?<=[а-я]{4})(?:ами|ями|ов|ев|ия|ии|ие|ий|ая|ое|ый|ой|а|я|ы|и|е|о|ь|у)$", "", name)
        if len(name) > 2
        else ""
    )


@lru_cache(maxsize=1)
def _pages() -> tuple[list[tuple[Literal["card", "note"], str]], list[list[str]], list[set[str]]]:
    folders = (Path(__file__).with_name("playbook"), CARDS)
    written = (path for one in folders for path in sorted(one.glob("*.*")) if path.is_file())
    made_by = (__file__, text_module.__file__, snowballstemmer.__file__)
    sources = [*map(Path, made_by), *written]
    keys, bodies, titles = kept(Path(__file__).with_name("pages.py"), sources, _stemmed)
    return [(kind, name) for kind, name in keys], bodies, [set(title) for title in titles]


def _stemmed() -> list[list[Any]]:
    """Keys, bodies and titles of all pages: a second of stemming."""
    keys: list[list[str]] = []
    bodies, titles = [], []
    for note in _notes.playbook().values():
        keys.append(["note", note.name])
        title = stems(f"{note.title} {note.name.replace('-', ' ')}")
        bodies.append(title * 3 + stems(note.ask) * 3 + stems(note.text))
        titles.append(title)
    for card in load_cards():
        keys.append(["card", card.name])
        title = stems(f"{card.title} {card.name} {card.name.replace('-', ' ')}")
        words = stems(" ".join(card.keywords))
        bodies.append(
            title * 4
            + words * 2
            + stems(" ".join((*card.topics, card.text, card.helps, card.hurts)))
        )
        titles.append(title)
    return [keys, bodies, titles]


@lru_cache(maxsize=1)
def _index() -> Any:
    import bm25s

    model = bm25s.BM25(k1=1.2, b=0.6)
    model.index(_pages()[1], show_progress=False)
    return model


@lru_cache(maxsize=64)
def search(text: str, count: int) -> tuple[Hit, ...]:
    """Pages by relevance; those whose pattern the question holds come first."""
    words = stems(text)
    keys, _, titles = _pages()
    if not words:
        return ()
    vocabulary = _vocabulary()
    known = [word for word in words if word in vocabulary]
    import numpy as np

    scores = np.asarray(_index().get_scores(known)) if known else np.zeros(len(keys))
    named = _named(text)
    hits = []
    for index, (kind, name) in enumerate(keys):
        value, length = float(scores[index]), named.get(f"{kind}:{name}", 0)
        if value <= 0 and not length:
            continue
        covered = len(set(words) & titles[index]) / max(1, len(set(words)))
        hits.append(
            Hit(kind, name, value * (1 + covered) + 1.5 * length, bool(length) or covered >= 0.6)
        )
    hits.sort(key=lambda hit: -hit.score)
    return tuple(hits[:count])


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    return frozenset(word for body in _pages()[1] for word in body)
