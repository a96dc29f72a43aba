"""Which kind of answer a question gets: the surest one, and one for every other part of it."""

import re
from collections.abc import Sequence
from dataclasses import replace

from advisor.consultation import retrieval
from advisor.consultation.answers import modules, ranked
from advisor.consultation.question import Question
from advisor.consultation.understanding.text import normalize

_SURE = 4.0
_SIZING = (
    r"вле[зс]|поме[сщ]т|быстро|хватит|потянет|стоит"
    r" миллион|желез|почем(?!у)|дорого|заведется|производительн|vram|сервер|токен|cost|price|fit"
)
_INJECTION = (
    r"(ignore|disregard|forget|забудь|игнорируй|отбрось)[^.?!]{0,40}(instruction|prompt|инструкц|промпт|указан|правил)|"
    r"(выведи|покажи|раскрой|напечатай|повтори|скажи|print|show|reveal|repeat|твой|свой|your)"
    r"[^.?!]{0,30}(system prompt|системн\w+ (промпт|инструкц))|"
    r"(твой|свой|свои|your)[^.?!]{0,20}(key|ключ)|ты теперь|act as|pretend|притворись|jailbreak|"
    r"developer mode"
)


def choose(question: Question) -> list[str]:
    """The surest kind, and a kind for every other part of the question."""
    if injected(question):
        return []
    found = _told(question, ranked(question))
    first = _first(question, found)
    return _with_parts(question, first) if first else []


def _first(question: Question, found: Sequence[tuple[str, float]]) -> str | None:
    """The kind that leads; the nearest one where none is sure and the question is on topic."""
    if not on_topic(question):
        found = [pair for pair in found if pair[0] in _ANY_TOPIC or pair[1] >= 7]
        return found[0][0] if found and (found[0][1] >= _SURE or question.follow_up) else None
    best, score = found[0] if found else ("", 0.0)
    if question.follow_up and question.previous in modules():
        if only_particulars(question):
            return question.previous
        least = 6.0 if len(question.text.split()) > 5 else 6.8
        if score < least:
            return question.previous
    if score >= 2:
        return best
    return "knowledge" if retrieval.search(question.text, 1) else None


_STORY = (
    r"почему|отчего|хуже|косяк|что не так|где (?:мы|я|тут)|обманул|тупит|не помога|избежать|"
    r"разрулить|"
    r"починить|лечить|как быть|что делать|и по новой|потолок\?|одно и то же|чем отлича|зачем|"
    r"как так|чтоли|что ли\?|не докрутил|спор"
)
_AMOUNT = (
    r"сколько|сколь|почем(?!у)|какой размер|влез|влаз|хватит|помест|посчита|потян|how many|"
    r"how much|"
    r"дай команд|можно\W|какую карт|прикин|стоит ли|какой (?:rps|tpot|ttft)|выгодн|окуп|команд|"
    r"норм\w*\?|"
    r"это (?:норм|мало|много)|прогноз|tp|карт\w* выбрать|на каких"
)
_RECKONERS = (
    "fit",
    "speed",
    "launch",
    "cost",
    "gpu_facts",
    "capacity",
    "concurrency",
    "slo",
    "kv_cache",
    "mixes",
    "gpu_choice",
)


def _told(question: Question, found: Sequence[tuple[str, float]]) -> Sequence[tuple[str, float]]:
    """A story that asks why or how, and for no amount: reckoning with its names is beside it."""
    if not question.has(_STORY) or question.has(_AMOUNT):
        return found
    low = [(name, score - 4.0 if name in _RECKONERS else score) for name, score in found]
    return sorted(low, key=lambda pair: -pair[1])


def only_particulars(question: Question) -> bool:
    """«а в int4?», «а на двух H100», «если 20 юзеров»: another value, not another question."""
    words = re.findall(r"[a-zа-я]+", _PARTICULARS.sub(" ", question.outline))
    return not words


def _with_parts(question: Question, first: str) -> list[str]:
    """Kinds for the clauses that ask something else: «влезет, какая скорость и почём?»."""
    chosen = [first]
    if not getattr(modules()[first], "PART", False):
        return chosen
    for clause in clauses(question):
        found = ranked(clause)
        if _LISTED.match(clause.raw):
            found = [pair for pair in found if not any(pair[0] in covers(one) for one in chosen)]
        name, score = next(iter(found), ("", 0.0))
        if score < _PART or name in chosen or not getattr(modules()[name], "PART", False):
            continue
        if any(name in covers(one) for one in chosen):
            continue
        chosen = [one for one in chosen if one not in covers(name)] + [name]
    return chosen[:3]


def clauses(question: Question) -> list[Question]:
    """The clauses of a question, each with the names and numbers of the whole."""
    parts = [part.strip() for part in _CLAUSE.split(question.raw) if part and part.strip()]
    if len(parts) < 2:
        return []
    return [replace(question, raw=part, text=normalize(part), follow_up=False) for part in parts]


def covers(name: str) -> tuple[str, ...]:
    """Kinds whose answer stands inside the one of this kind."""
    return getattr(modules()[name], "COVERS", ())


def orders_the_machine(question: Question) -> bool:
    """Whether the message tries to change the rules instead of asking."""
    return question.has(_INJECTION)


def injected(question: Question) -> bool:
    """Orders to the machine in place of a question about a deployment."""
    return orders_the_machine(question) and not (question.has_model and question.frame.gpus)


_LISTED = re.compile(r"\d\)")
"""«1) влезет? 2) почём?»: every number is a question of its own."""
_CLAUSE = re.compile(r"[?!;\n]+|\s(?=\d\)\s)|\.(?=\s|$)|,\s|:\s|\s(?:и|а также|and)\s", re.I)
_PARTICULARS = re.compile(
    r"(?<![a-zа-я])(а|и|ну|если|что если|то|вот|на|в|во|с|для|при|по|до|из|же|тогда|теперь|давай|"
    r"возьмем|возьму|пусть|будет|взять|будут|модел[ьи]|имя|карт\w*|карта|gpu|штук\w*|контекст\w*|"
    r"юзер\w*|пользовател\w*|человек\w*|запрос\w*|одновремен\w*|параллельн\w*|поток\w*|токен\w*|"
    r"тыс\w*|ток|бит\w*|kv|кэш\w*|кеш\w*|cache|квантован\w*|без|такой|этой|ней|них|нем|batch|батч\w*|"
    r"вход\w*|выход\w*|ответ\w*|длин\w*|мс|ms|сек\w*|час\w*|доллар\w*|руб\w*|what|about|if|and|then|"
    r"on|in|with|for|users?|requests?|context|int\d?|fp\d?|bf\d*|awq|gptq|к|k|b|б|x|s|или)(?![a-zа-я])"
)
_ANY_TOPIC = ("greeting", "sessions", "diagnosis", "first_steps")
_PART = 6.9
_NEAR = 0.5


def on_topic(question: Question) -> bool:
    """About inference: by its names, by its words, or by being like a question that is."""
    return bool(
        question.has_model
        or question.frame.gpus
        or retrieval.in_domain(question.text)
        or question.own.unknown
        or question.has(_SIZING)
        or max(question.near.values(), default=0.0) >= _NEAR
    )
