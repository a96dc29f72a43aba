"""The nearest of many example questions: how a wording that no pattern foresees finds its answer.

Words are compared by their first letters and by letter trigrams, so that endings, typos and
word order matter little; rare words count more than common ones.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

_COMMON = """
    а и в на с у к по за из от до для что как это ли же бы то не но или the a an is are of to in
    on for and or my our we i you it do does мне нам нас меня мы я вы если так тут там вот ну
    такое такой такие what
"""
_STOP = frozenset(_COMMON.split())
_TRUNK = 5
_SAME = (
    (("юзер", "клиен", "людей", "челов"), "польз"),
    (("видео", "gpu", "гпу", "видюх"), "карта"),
    (("кэш", "кэша", "кэше", "кэшу", "cache", "кеша", "кеше", "кешир", "кэшир"), "кеш"),
    (("latency", "laten", "латен"), "задер"),
    (("throu",), "пропу"),
    (("медле", "тормо", "долго"), "медле"),
    (("запус", "подня", "разве", "deplo"), "запус"),
    (("выбра", "взять", "брать"), "выбра"),
    (("ускор", "быстр"), "быстр"),
    (("дешев", "эконо", "сэкон", "удеше"), "дешев"),
    (("нужен", "нужна", "нужно", "нужны", "надо"), "нужен"),
    (("можно", "получ"), "можно"),
)
_CANON = {word: name for words, name in _SAME for word in words}
"""Trunks of words that mean the same here."""


def features(text: str) -> Counter[str]:
    """Trunks of words, their trigrams at a third of the weight, and pairs of neighbours."""
    words = [w for w in re.findall(r"[a-zа-я]+|#|\d+", text) if w not in _STOP]
    found: Counter[str] = Counter()
    words = [_CANON.get(word[:_TRUNK], word) for word in words]
    for word in words:
        found[word[:_TRUNK]] += 1.0  # type: ignore[assignment]
        framed = f"^{word[:7]}"
        for start in range(len(framed) - 2):
            found[f"~{framed[start : start + 3]}"] += 0.3  # type: ignore[assignment]
    for one, other in pairwise(words):
        found[f"{one[:_TRUNK]} {other[:_TRUNK]}"] += 0.6  # type: ignore[assignment]
    return found


class Examples:
    """Labelled example questions, ready to be compared with one."""

    def __init__(self, labelled: Iterable[tuple[str, str]]) -> None:
        pairs = [(label, features(text)) for label, text in labelled]
        self._labels = [label for label, _ in pairs]
        seen: Counter[str] = Counter(name for _, found in pairs for name in found)
        self._rarity = {name: math.log(1 + len(pairs) / count) for name, count in seen.items()}
        self._unseen = math.log(1 + len(pairs))
        self._index: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, (_, found) in enumerate(pairs):
            for name, weight in self._unit(found).items():
                self._index[name].append((number, weight))

    def near(self, text: str) -> dict[str, float]:
        """Cosine of the best example of every label, above nothing."""
        asked = self._unit(features(text))
        cosines: dict[int, float] = defaultdict(float)
        for name, weight in asked.items():
            for number, other in self._index.get(name, ()):
                cosines[number] += weight * other
        best: dict[str, float] = {}
        for number, cosine in cosines.items():
            label = self._labels[number]
            best[label] = max(best.get(label, 0.0), cosine)
        return best

    def _unit(self, found: Mapping[str, float]) -> dict[str, float]:
        weights = {
            name: count * self._rarity.get(name, 0.5 * self._unseen)
            for name, count in found.items()
        }
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {name: weight / length for name, weight in weights.items()}
