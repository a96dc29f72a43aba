"""What each number of a question is: a price, a speed, a load, by its unit and its words."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from advisor.consultation.sums.amounts import Amount, Unit, amounts
from advisor.consultation.understanding.frame import Currency

Values = dict[str, float]

_WHOLE = (
    r"вместе|целиком|за вс[юе]|весь|вся|все(?![а-я])|нод|сервер|серв(?![а-я])|узел|узл|кластер|"
    r"машин|in total|node|server"
)
_EACH = r"кажд|за шт|штук|за карт|за gpu|за гпу|каждая|per (?:gpu|card)|each"
_SPOT = r"спот|spot|прерыв"
_DEMAND = r"on.?demand|он.?деманд|обычн|по требован|против|вместо|\bvs\b"
_UPKEEP = r"колок|электрич|обслужив|админ|содерж|opex|стойк|хостинг|свет"
_BUY = r"купи|покуп|приобр|предлага|buy|purchase|стоит сам|за карту отда"
_CLAIM = r"=|получил|выходит|насчита|итого"
_IN = r"вход|промпт|input|\bin\b|документ|контекст|префил|prefill|prompt"
_OUT = r"выход|ответ|генер|output|\bout\b|completion|декод|decode|генерац"
_WANTED = r"надо|нужн|вытян|вытащ|требу|выдерж|держать|хотим|хочу|обслуж|цель|need|target|пик"
_GIVES = (
    r"снима|выда|дает|дают|льет|льют|выжима|отдает|получа|имеем|генерит|(?<![а-я])тян[еу]т|мер[яи]ли|замер|"
    r"держит|держат|стабильно|крутит|делает|gives|does"
)
_ONE = r"(?<![\d.,])1 |кажд|карт[аыу](?![а-я])|карточк|\bgpu\b|штук|each|per (?:gpu|card)"
_COPY = r"реплик|копи|инстанс|replica"
_FIRST = r"ttft|перв\w+ токен|до первого|first token"
_BETWEEN = r"tpot|itl|на токен|между токен|per token"
_ANSWER = (
    r"весь ответ|ответ целиком|полн\w+ ответ|от начала до конца|жив[её]т|висит|длит|e2e|latency|"
    r"в среднем|ответ(?![а-я])|запрос(?![а-я])|обрабат|задержк|выполн"
)
_LENGTH = r"(?:ответ|выход|промпт|вход)\w*(?:\s(?:в среднем|около|по))?\s*$"
_MOST = r"не хот|выше|не больше|не выше|не более|максимум|не превыш|держать|at most|up to|потолок"


@dataclass
class Said:
    """Values by role, in the currency of the question; what found no role stands apart."""

    values: Values = field(default_factory=dict)
    currency: Currency = "$"
    each_is_guessed: bool = False
    """Nobody said whether the price of an hour is one card's or that of all."""
    unclear: list[Amount] = field(default_factory=list)
    """Money and speeds without a role, or with one that another number has already."""

    def put(self, role: str, value: float, amount: Amount) -> None:
        if role in self.values and self.values[role] != value:
            self.unclear.append(amount)
        self.values.setdefault(role, value)


def read(raw: str, earlier: tuple[str, ...] = ()) -> Said:
    """The roles of this message's numbers, over those of the messages before it."""
    said = _read(raw)
    for text in reversed(earlier):
        old = _read(text)
        if not said.values and not said.unclear:
            said.currency = old.currency
        _changed(said, old)
        for role, value in old.values.items():
            said.values.setdefault(role, value)
    return said


def _read(raw: str) -> Said:
    said = Said()
    found = amounts(raw)
    priced = [one for one in found if one.unit.startswith("money")]
    if priced:
        said.currency = priced[0].currency
    for one in found:
        _place(one, found, said)
    return said


def _changed(said: Said, old: Said) -> None:
    """«а если цену скинут до 1.7?»: a bare price in the place of the earlier one."""
    new = said.values.pop("new_price", None)
    if new is None:
        return
    for role in ("price_card_h", "price_h", "price_month", "api_price"):
        if role in old.values:
            said.values.setdefault(role, new)
            said.currency = old.currency
            return


def _place(one: Amount, found: Sequence[Amount], said: Said) -> None:
    if one.unit.startswith("money") and one.currency != said.currency:
        said.unclear.append(one)
    elif one.unit in _READERS:
        _READERS[one.unit](one, found, said)
    elif one.unit in _PLAIN:
        said.put(_PLAIN[one.unit], one.value, one)


def _items(one: Amount, found: Sequence[Amount], said: Said) -> None:
    """Requests or documents, with no period or with one."""
    each = _of_person(one, found)
    if one.unit == "req" and one.near(_WORKDAY):
        said.put("asks_day", one.value, one)
    elif one.unit == "req":
        if one.value >= _A_JOB:
            said.put("documents", one.value, one)
    elif each:
        said.put("asks_day" if one.unit == "req/day" else "asks_h", one.value, one)
    else:
        said.put("requests_day", one.value * (24 if one.unit == "req/h" else 1), one)


def _rate(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    said.put("rps_wanted" if one.near(_WANTED + r"|реплик") else "rps", one.value, one)


def _factor(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if one.near(r"ускор|быстр|пропускн|throughput|speed"):
        said.put("speedup", one.value, one)
    elif one.near(r"пик|средн|peak"):
        said.put("peak_factor", one.value, one)


def _size(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if one.near(r"вес|weigh|модел"):
        said.put("weights_gb", one.value, one)


def _days(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if one.near(r"мес|month"):
        said.put("days_month", one.value, one)


def _of_person(one: Amount, found: Sequence[Amount]) -> bool:
    """«10 тыс юзеров по 8 запросов в сутки»: of each of them."""
    k = found.index(one)
    shared = k > 0 and found[k - 1].unit == "people" and one.led_by(r"по\s*$")
    return shared or (one.value < 1000 and one.near(r"кажд|с человека|на человека|each"))


def _hourly(one: Amount, found: Sequence[Amount], said: Said) -> None:
    spotty = any(other.led_by(_SPOT) for other in found)
    if spotty and one.led_by(_DEMAND):
        role = "on_demand_h"
    elif spotty:
        role = "spot_h"
    elif one.near(_EACH):
        role = "price_card_h"
    else:
        role = "price_h" if _of_all(one, found) else "price_card_h"
        said.each_is_guessed = role == "price_card_h"
    said.put(role, one.value, one)


def _of_all(one: Amount, found: Sequence[Amount]) -> bool:
    """«нода 8xH100 за 20$/ч»: the node stands before the cards that stand before the price."""
    k = found.index(one)
    before = found[k - 1] if k else None
    node = before is not None and before.unit == "gpus" and before.led_by(_WHOLE)
    return node or one.near(_WHOLE)


def _monthly(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if one.near(_UPKEEP):
        role = "opex_month"
    else:
        role = "claimed_month" if one.led_by(_CLAIM) else "price_month"
    said.put(role, one.value, one)


def _api(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if re.match(r"\s*(?:за |на )?(?:вход|input|in\b)", one.after):
        said.put("api_in", one.value, one)
        return
    if re.match(r"\s*(?:за |на )?(?:выход|output|out\b)", one.after) or one.led_by(r"^\s*/\s*$"):
        said.put("api_out", one.value, one)
        return
    last = one.before.split(",")[-1]
    ways = [(last.rfind(m), role) for m, role in (("вход", "api_in"), ("input", "api_in"),
            ("выход", "api_out"), ("output", "api_out")) if m in last]  # fmt: skip
    said.put(max(ways)[1] if ways else "api_price", one.value, one)


def _bare_money(one: Amount, found: Sequence[Amount], said: Said) -> None:
    if one.after.strip() == "/":
        said.put("api_in", one.value, one)
    elif one.near(_BUY) and not one.led_by(r"час\s*$"):
        said.put("purchase", one.value, one)
    elif one.led_by(r"(?:час\w*|(?<![а-я])ч)(?:\s\S+){0,3}\s*$") or one.led_by(_SPOT):
        _hourly(one, found, said)
    elif one.near(r"on.?demand|он.?деманд"):
        said.put("on_demand_h", one.value, one)
    elif one.near(r"милли|млн|лям|1m|токен|(?<![a-z])api|апи"):
        _api(one, found, said)
    elif one.near(r"скин|сниз|подеш|подорож|подним|упад|цен\w* до"):
        said.put("new_price", one.value, one)
    elif one.led_by(r"арен\w*(?:\s\S+){0,3}\s*$") or one.near(_EACH):
        _hourly(one, found, said)
    else:
        said.unclear.append(one)


def _speed(one: Amount, found: Sequence[Amount], said: Said) -> None:
    wants, gives = one.near(_WANTED), one.near(_GIVES)
    phases = sum(bool(other.near(r"префил|prefill")) for other in found)
    fed = one.near(r"входн") and not one.near(_OUT)
    if fed or (phases and one.led_by(r"префил|prefill")):
        role = "prefill_tps"
    elif phases and one.led_by(r"декод|decode|генер"):
        role = "decode_tps"
    elif _of_copy(one, found):
        role = "tps_replica"
    elif (one.near(_ONE) or _alone(one, found)) and not one.near(r"вместе|всего|суммарн"):
        role = "tps_card"
    elif wants and not gives:
        role = "tps_wanted"
    else:
        role = "tps_total"
    said.put(role, one.value, one)


def _of_copy(one: Amount, found: Sequence[Amount]) -> bool:
    """The speed of one replica."""
    if one.near(_GIVES) and any(o.unit == "gpus" and o.led_by(_COPY) for o in found):
        return True
    beside = one.near(rf"(?:на|с) (?:кажд\w+ |1 )?(?:{_COPY})")
    return one.led_by(_COPY) or beside or _after(one, found, "replicas")


def _after(one: Amount, found: Sequence[Amount], unit: str) -> bool:
    """«одна реплика выдаёт 2600»: the number before it counts those."""
    k = found.index(one)
    return k > 0 and found[k - 1].unit == unit and one.led_by(_GIVES)


def _alone(one: Amount, found: Sequence[Amount]) -> bool:
    """«одна L40S отдаёт 850»: a single card stands just before the speed."""
    k = found.index(one)
    before = found[k - 1] if k else None
    if before is not None and before.unit in ("gpus", "bare") and before.value != 1:
        return False
    return one.led_by("⟦G") or bool(before and before.value == 1 and one.led_by(_GIVES))


def _tokens(one: Amount, found: Sequence[Amount], said: Said) -> None:
    if one.value == 1e6:  # «миллион токенов» is what is priced
        return
    if one.value >= 1e6:
        said.put("tokens_day" if one.near(r"в день|в сутки|сутк") else "tokens_total",
                 one.value, one)  # fmt: skip
        return
    way = _way(one)
    if not way:
        others = {_way(other) for other in found if other.unit == "tok" and other is not one}
        fed = any(o.unit == "tok/s" and o.near(r"входн") for o in found)
        way = "in" if "out" in others or fed else "out"
    said.put(f"tokens_{way}", one.value, one)


def _way(one: Amount) -> str:
    """Whether it is told to go in or to come out."""
    return _first(one.after) or _last(one.before)


def _first(words: str) -> str:
    found = [(m.start(), way) for way, p in (("in", _IN), ("out", _OUT))
             for m in [re.search(p, words)] if m and m.start() < 14]  # fmt: skip
    return min(found)[1] if found else ""


def _last(words: str) -> str:
    found = [(m.end(), way) for way, p in (("in", _IN), ("out", _OUT))
             for m in re.finditer(p, words)]  # fmt: skip
    return max(found)[1] if found else ""


def _time(one: Amount, found: Sequence[Amount], said: Said) -> None:
    seconds = one.value / (1000 if one.unit == "ms" else 1)
    if one.led_by(r"(?:кажды\w+|раз в|через кажд\w+)\s*$") and not one.near(r"токен|tpot|token"):
        said.put("period_s", seconds, one)
        return
    after_tokens = any(other.unit == "tok" for other in found)
    if one.near(_FIRST):
        role = "ttft_s"
    elif (
        one.near(_BETWEEN)
        or one.led_by(r"по токену[^.?!]{0,12}$")
        or (one.led_by(r"по\s*$") and after_tokens)
    ):
        role = "tpot_s"
    elif one.near(_ANSWER):
        role = "e2e_s"
    else:
        return
    said.put(role, seconds, one)


def _people(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if one.value > 1:
        said.put("people", one.value, one)


def _percent(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    share = one.value / 100
    if one.near(r"запас|резерв|headroom"):
        said.put("headroom", 1 - share, one)
    elif one.near(_MOST) and one.near(r"груз|загру|утилиз|util"):
        said.put("headroom", share, one)
    elif one.near(r"груз|загру|утилиз|util"):
        said.put("utilization", share, one)
    elif one.near(r"из них|онлайн|активн|сидят|одновремен|в пике"):
        said.put("active_share", share, one)


def _hours(one: Amount, found: Sequence[Amount], said: Said) -> None:
    if one.near(r"кажды|раз в|прерыв|отбира|забира"):
        said.put("interrupted_h", one.value, one)
    elif any(other.unit in ("req", "tok") for other in found):
        said.put("deadline_h", one.value, one)


def _minutes(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if one.near(r"под[ъьн]|восстан|старт|загруз|запуск|грузим"):
        said.put("restart_h", one.value / 60, one)


def _count(one: Amount, found: Sequence[Amount], said: Said) -> None:
    del found
    if one.near(r"на (?:кажд\w+ )?реплик|на копи") or one.led_by(rf"(?:{_COPY})[^.?!]{{0,16}}$"):
        said.put("cards_replica", one.value, one)
    elif one.value > 1:
        said.put("cards", one.value, one)


def _bare(one: Amount, found: Sequence[Amount], said: Said) -> None:
    """A number without a unit: by the words on either side."""
    priced = any(other.unit.startswith("money") for other in found)
    role = next((role for words, role in _BEFORE if one.led_by(words)), None)
    role = role or next((role for words, role in _AFTER if re.match(words, one.after)), None)
    if priced and re.match(r"\s*(?:в|/|за)\s*мес", one.after):
        _monthly(one, found, said)
    elif role:
        said.put(role, one.value, one)
    elif one.value >= _LEAST and _alone(one, found) and not one.after.strip():
        said.put("tps_card", one.value, one)
    elif one.value >= _LEAST and (_first(one.after) or one.led_by(_LENGTH)):
        said.put(f"tokens_{_way(one)}", one.value, one)


_LEAST, _A_JOB = 16, 100
"""Smaller numbers are no lengths and no speeds; fewer requests are no job."""
_WORKDAY = r"кажд\w+ [^.?!]{0,12}(?:в|за)? ?(?:рабочий )?день|в (?:рабочий )?день"
_BEFORE = (
    (r"курс\w*\s*(?:доллара |бакса )?(?:по |=|~|около |примерно )*\s*$", "fx"),
    (r"(?:max[-_]num[-_]seqs|слот\w*)[^.?!,]{0,12}\s*$", "slots"),
    (r"(?:running|в работе|одновременно)[^.?!,]{0,22}$", "slots"),
    (r"(?<![a-z])n\+\s*$", "spare"),
    (r"(?:рабочих )?дней\s*(?:в месяце?\s*)?$", "days_month"),
    (r"(?<![a-z])(?:tp|tensor.parallel\S*)\s*[=:]?\s*$", "cards_replica"),
    (r"цен\w*[^.?]*(?:до|=)\s*$|(?:скин|сниз|подн)\w*[^.?]* до\s*$", "new_price"),
)
_AFTER = ((r"\s*слот", "slots"), (r"\s*(?:запасн|резервн)", "spare"))
_READERS: dict[Unit, Callable[[Amount, Sequence[Amount], Said], None]] = {
    "money/h": _hourly, "money/month": _monthly, "money/million": _api, "money": _bare_money,
    "tok/s": _speed, "tok": _tokens, "percent": _percent, "h": _hours, "min": _minutes,
    "bare": _bare, "gpus": _count, "ms": _time, "s": _time, "people": _people, "req": _items,
    "req/h": _items, "req/day": _items, "req/s": _rate, "factor": _factor, "gb": _size,
    "days": _days,
}  # fmt: skip
_PLAIN: dict[Unit, str] = {
    "money/day": "price_day", "money/kwh": "kwh", "tok/day": "tokens_day", "watt": "watts",
    "req/min": "asks_min", "h/day": "hours_day", "replicas": "replicas", "nodes": "nodes",
    "gb/s": "bandwidth_gb_s", "streams": "slots",
}  # fmt: skip
