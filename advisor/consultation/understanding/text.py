"""A question made even: case, letters, spaces, numbers in words."""

import re
import unicodedata

from advisor.consultation.understanding.translit import to_russian

_WORDS: dict[str, str] = {}


def _forms(value: float, *words: str) -> None:
    _WORDS.update(dict.fromkeys(words, f"{value:g}"))


_forms(1, "один", "одна", "одно", "одну", "одной", "одного", "одном", "one", "единственной")
_forms(1, "одиночной", "одиночная", "одним", "одному")
_forms(2, "два", "две", "двух", "двумя", "двум", "two", "пара", "пару", "паре", "парой", "двушка")
_forms(3, "три", "трех", "тремя", "трем", "three", "тройка", "тройке")
_forms(4, "четыре", "четырех", "четырьмя", "четырем", "four", "четверка", "четверке", "четверку")
_forms(5, "пять", "пяти", "пятью", "five")
_forms(6, "шесть", "шести", "шестью", "six")
_forms(7, "семь", "семи", "семью", "seven")
_forms(8, "восемь", "восьми", "восемью", "восьмью", "eight", "восьмерка", "восьмерке", "восьмерку")
_forms(10, "десять", "десяти", "десятью", "десяток", "ten")
_forms(12, "двенадцать", "двенадцати", "дюжина", "дюжину")
_forms(16, "шестнадцать", "шестнадцати", "sixteen")
_forms(20, "двадцать", "двадцати", "twenty")
_forms(30, "тридцать", "тридцати", "thirty")
_forms(32, "тридцатьдва")
_forms(40, "сорок", "сорока", "forty")
_forms(50, "пятьдесят", "пятидесяти", "полсотни", "fifty")
_forms(60, "шестьдесят", "шестидесяти")
_forms(80, "восемьдесят", "восьмидесяти")
_forms(100, "сто", "ста", "сотня", "сотню", "сотне", "сотней", "hundred")
_forms(200, "двести", "двухсот", "двумстам")
_forms(300, "триста", "трехсот", "тремстам")
_forms(500, "пятьсот", "пятисот")
_forms(1000, "тысяча", "тысячу", "thousand")
_forms(1.5, "полтора", "полторы")

_SLANG = {
    "скока": "сколько", "скоко": "сколько", "скок": "сколько", "сколь": "сколько",
    "видяха": "видеокарта", "видяхи": "видеокарты", "видяхе": "видеокарте", "видяху": "видеокарту",
    "видюха": "видеокарта", "видюхи": "видеокарты", "видюхе": "видеокарте", "видюху": "видеокарту",
    "оператива": "память", "оперативы": "памяти", "че": "что", "чо": "что", "ща": "сейчас",
    "щас": "сейчас", "ваще": "вообще", "норм": "нормально", "моделька": "модель", "плиз": "",
    "сетка": "модель", "ллмка": "llm", "ллмки": "llm", "ллмку": "llm",
    "нейронка": "модель", "нейросетка": "модель",
    "гиги": "гиг", "токенчиков": "токенов", "юзвери": "юзеры", "юзверей": "юзеров",
    "дешманская": "дешевая", "дешман": "дешевый", "лагает": "тормозит", "глючит": "ошибка",
    "тупит": "тормозит", "миг": "mig", "мига": "mig", "миге": "mig", "фигня": "проблема",
    "рейт": "rate", "рейтлимит": "rate limit", "латенси": "latency", "трупут": "throughput",
    "трупута": "throughput", "шедулер": "планировщик", "балансер": "балансировщик",
    "балансера": "балансировщика", "кубер": "kubernetes", "кубере": "kubernetes", "оом": "oom",
    "ноуте": "ноутбуке", "ноут": "ноутбук", "фоллбек": "fallback", "хелсчек": "health check",

    "проц": "процессор", "проце": "процессоре", "проца": "процессора", "процах": "процессорах",
}  # fmt: skip
_ALONE = re.compile(
    r"(?<![\d\w])(?<!\d )(миллион|миллиона|миллиард|лям|million|billion)(?="
    r" (?:[a-zа-я]*\s)?(?:ток|tok|запрос|request|пользов|юзер|user|человек|клиент|докум|doc|текст|"
    r"диалог|сообщ|отзыв|стат[ье]))"
)
_HALVES = (
    (re.compile(r"пол-?секунды\b"), "0.5 секунды"),
    (re.compile(r"пол-?миллиона\b"), "0.5 млн"),
    (re.compile(r"пол-?миллиарда\b"), "0.5 млрд"),
    (re.compile(r"пол-?часа\b"), "0.5 часа"),
    (re.compile(r"пол-?доллара\b"), "0.5 доллара"),
    (re.compile(r"\bполовин[ау]\b"), "50%"),
    (re.compile(r"\bчетверть\b"), "25%"),
    (re.compile(r"\bсекунды? на (?=ответ)"), "1 секунда на "),
)
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?: \d{3})+(?![\d\w])")
_COMMAS = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d\w,.])")
_UNIT_WORDS = re.compile(r"(?<=\d)\s?(тыщ\w*|косар\w*|штук баксов)")
_TIMES = re.compile(
    r"(?<![a-zа-я\d])(\d+)\s*(?!xeon)"
    r"(?:[×*]\s*(?=[a-zа-я])|[xх×*]\s*(?=[a-z]|\d{4}\b)|[xх]\s+(?=[а-я]))"
)
"""«4х h100», «2 x 4090», «2 х карты», but no «h100 хватит» and no «2 xeon»."""
_ABOUT = re.compile(
    r"\b(тысяч[иу]?|тыщ\w*) (?:на |по |в |около )?(\d+)(?![\d.,]|\s*(?:тыс|к\b|k\b))"
)
"""«тысяч на 6», «тыщ 20»: an inverted, rough number."""
_WORD = re.compile(r"[a-zа-я]+")
_TENS = re.compile(r"\b([2-9]0) ([1-9])\b(?! ?[a-z])")
_DROP = dict.fromkeys(map(ord, '\u200b\u200c\u200d\ufeff\u00ad«»„“”"`'), " ")


def normalize(text: str) -> str:
    """Lower case, one kind of space and dash, digits for numbers in words, no zero-width signs."""
    plain = unicodedata.normalize("NFKC", text).translate(_DROP).lower().replace("ё", "е")
    plain = re.sub(r"[\u2010-\u2015\u2212]", "-", plain)
    plain = re.sub(r"\s+", " ", plain).strip()
    plain = to_russian(plain)
    plain = _WORD.sub(lambda match: _SLANG.get(match[0], match[0]), plain)
    for pattern, words in _HALVES:
        plain = pattern.sub(words, plain)
    plain = _ALONE.sub(r"1 \1", plain)
    plain = _WORD.sub(lambda match: _WORDS.get(match[0], match[0]), plain)
    plain = _UNIT_WORDS.sub(" тыс", plain)
    plain = _ABOUT.sub(r"\2 тыс", plain)
    plain = _GROUPED.sub(lambda match: match[0].replace(" ", ""), plain)
    plain = _COMMAS.sub(lambda match: match[0].replace(",", ""), plain)
    return _TIMES.sub(r"\1 x ", plain)


def wants_english(text: str) -> bool | None:
    """True or False when the user says in which language to answer; None when not."""
    plain = text.lower()
    if re.search(
        r"(answer|reply|respond|explain|write|speak)[^.?!]{0,25}\bin english|\bin english,? please|"
        r"english,? please|(на|по)[ -]английск",
        plain,
    ):
        return True
    if re.search(r"\bin russian|(на|по)[ -]русск", plain):
        return False
    return None
