"""Which quantities a question asks for, and how each is said."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from advisor.consultation.question import Question
from advisor.consultation.understanding.text import normalize

_HOW_MUCH = (
    r"сколько|почем(?!у)|скока|сто[ия]|цен|себестоим|обойд|вый?д|бюджет|встан|попада|плат|закладыв|"
    r"расход|деньг|денег|cost|price|how much|верно|правильно"
)
_VOLUME = r"безубыт|с какого объ?ем|при каком объ?ем|сколько [^.?]*(?:в сутки|в день)|прокач"
_WORTH = r"выгодн|дешевле|имеет (?:ли )?смысл|есть смысл|дороже|переезж|cheaper|worth"


@dataclass(frozen=True)
class Target:
    """`name` is asked for by any of `words`, where also `beside` is in the text."""

    name: str
    words: str
    beside: str = ""
    companions: tuple[str, ...] = ()
    """Said with it when they were reckoned, too."""

    def asked(self, question: Question) -> bool:
        return question.has(self.words) and (not self.beside or question.has(self.beside))


TARGETS: tuple[Target, ...] = (
    Target("payback_months", r"(?<!п)окуп|отоб[ьъ]|payback", "", ("payback_days",)),
    Target("spot_real_h", r"спот|spot", r"эффектив|реальн|цена|выгод|сколько", ("spot_saving",)),
    Target("cards_needed", r"(?:сколько|скока|скок)[^.?]{0,25}(?:карт|gpu|гпу|видеокарт|штук)|"
           r"how many (?:gpu|card)", "", ("replicas_needed",)),
    Target("replicas_needed", r"сколько[^.?]{0,20}(?:реплик|копий|инстанс)"),
    Target("job_h", r"за сколько|сколько (?:по )?(?:времени|часов|займ)|по времени|успе[ею]|"
           r"how long", "", ("job_cost", "tokens_in_total")),
    Target("job_cost", r"по деньгам|сколько денег|во сколько (?:обойд|встан)"),
    Target("ttft_s", r"ttft|до первого токен|первый токен",
           r"сколько|какой|каким|(?<![а-я])и(?![а-я])"),
    Target("e2e_s", r"сколько[^.?]{0,25}(?:жд[её]т|ждать|жди)|весь ответ|целиком|e2e"),
    Target("tpot_s", r"какой[^.?]{0,12}tpot|tpot[^.?]{0,20}(?:держать|нужен|надо|нужно)"),
    Target("stream_tps", r"ток/с|tok/s|токенов|скорост",
           r"больше|предел|максим|физич|потолок|сколько"),
    Target("in_flight", r"одновременн|в пол[её]те|в работе|in flight", r"сколько|скока"),
    Target("rps_most", r"(?:предельн|максимальн|какой|сколько)[^.?]{0,30}(?:rps|рпс)"),
    Target("api_month", _WORTH + r"|(?:за|в) месяц|ежемесячн|monthly", "",
           ("own_month", "even_tokens_day")),
    Target("tps_total", r"(?:суммарн|общ|всего)\w*[^.?]{0,15}(?:throughput|ток/с|tok/s|пропускн)"),
    Target("rps", r"какой[^.?]{0,20}(?:rps|рпс)|сколько (?:rps|запросов в секунду)"),
    Target("even_tokens_month", r"(?:объ?ем|токен)[^.?]{0,20}в месяц", r"выгодн|дешевле|безубыт"),
    Target("cost_request", r"(?:один|1|за|каждый|цена|стоимость|средн\w+ цена)\s*(?:\w+\s)?запрос",
           _HOW_MUCH),
    Target("saved_by_speed", r"эконом|сбереж|дешевле|save", "", ("saved_share",)),
    Target("even_tokens_day", _VOLUME, r"дешевле|выгодн|безубыт|окуп|своё|свое", ("even_tps",)),
    Target("tps_mean", r"ток/с|tok/s|токенов в секунду|в секунду|какая скорость",
           r"сколько|какая|скока"),
    Target("tps_peak", r"пик|peak", r"сколько|какая|если"),
    Target("cost_million", r"милли|млн|лям|1m(?![a-z])|токен|tok", _HOW_MUCH, ("cost_million_fx",)),
    Target("bill_month", r"месяц|month", _HOW_MUCH,
           ("bill_month_fx", "saving", "saving_share")),
    Target("bill_year", r"(?<![а-я])год(?![а-я])|в год|year", _HOW_MUCH),
    Target("bill_day", r"в сутки|за сутки|в день", _HOW_MUCH),
)  # fmt: skip

PHRASES: Mapping[str, tuple[str, str]] = {
    "payback_months": ("покупка окупится через **{payback_months}**",
                       "the purchase pays back in **{payback_months}**"),
    "payback_days": ("это {payback_days}", "{payback_days}"),
    "spot_real_h": ("час полезной работы на spot стоит **{spot_real_h}**",
                    "an hour of useful work on spot costs **{spot_real_h}**"),
    "spot_saving": ("ожидаемая экономия против on-demand {spot_saving}",
                    "the expected saving is {spot_saving}"),
    "cards_needed": ("нужно **{cards_needed} карт**", "**{cards_needed} cards** are needed"),
    "replicas_needed": ("реплик: **{replicas_needed}**", "replicas: **{replicas_needed}**"),
    "job_h": ("работа займёт **{job_h}**", "the job takes **{job_h}**"),
    "job_cost": ("она обойдётся в **{job_cost}**", "it costs **{job_cost}**"),
    "ttft_s": ("TTFT — **{ttft_s}**", "TTFT is **{ttft_s}**"),
    "e2e_s": ("весь ответ — **{e2e_s}**", "the whole answer takes **{e2e_s}**"),
    "tpot_s": ("нужен TPOT не больше **{tpot_s}**", "TPOT must be **{tpot_s}** at most"),
    "in_flight": ("одновременно в работе в среднем **{in_flight} запросов**",
                  "**{in_flight} requests** in flight on average"),
    "stream_tps": ("предел по памяти — **{stream_tps}** в один поток, быстрее не даст ни один"
                   " движок", "the memory allows **{stream_tps}** for one stream"),
    "rps_most": ("по закону Литтла — **{rps_most} запр./с**",
                 "by Little's law **{rps_most} requests/s**"),
    "even_tokens_month": ("своё выгоднее от **{even_tokens_month} в месяц**",
                          "the own machine wins from **{even_tokens_month} a month**"),
    "cost_request": ("один запрос — **{cost_request}**", "one request costs **{cost_request}**"),
    "saved_by_speed": ("экономия **{saved_by_speed} в месяц**, если лишние машины отключить",
                       "**{saved_by_speed} a month** saved"),
    "saved_share": ("это {saved_share}", "{saved_share}"),
    "tps_total": ("всего **{tps_total}**", "**{tps_total}** in all"),
    "rps": ("**{rps} запросов в секунду**", "**{rps} requests per second**"),
    "bill_month_fx": ("по вашему курсу **{bill_month_fx}**", "**{bill_month_fx}**"),
    "tokens_in_total": ("входных токенов всего {tokens_in_total}", "{tokens_in_total} of input"),
    "api_month": ("API — **{api_month} в месяц**", "the API costs **{api_month} a month**"),
    "own_month": ("своя машина — **{own_month} в месяц**", "the own machine **{own_month}**"),
    "even_tokens_day": ("своё выгоднее от **{even_tokens_day} в сутки**",
                        "the own machine wins from **{even_tokens_day} a day**"),
    "even_tps": ("в среднем это {even_tps}", "{even_tps} on average"),
    "tps_mean": ("в среднем **{tps_mean}**", "**{tps_mean}** on average"),
    "tps_peak": ("в пике **{tps_peak}**", "**{tps_peak}** at peak"),
    "cost_million": ("**{cost_million} за 1M токенов**", "**{cost_million} per 1M tokens**"),
    "cost_million_fx": ("по вашему курсу **{cost_million_fx}**", "**{cost_million_fx}**"),
    "bill_month": ("**{bill_month} в месяц**", "**{bill_month} a month**"),
    "saving": ("экономия против круглосуточной работы **{saving} в месяц**",
               "**{saving}** less than around the clock"),
    "saving_share": ("то есть {saving_share}", "{saving_share}"),
    "bill_year": ("**{bill_year} в год**", "**{bill_year} a year**"),
    "bill_day": ("**{bill_day} в сутки**", "**{bill_day} a day**"),
}  # fmt: skip


def targets(question: Question) -> list[Target]:
    """What is asked, in the order in which it is said best. «а если цена 1,7?» asks again what
    was asked before."""
    found = [target for target in TARGETS if target.asked(question)]
    again = not found or question.has(r"в рубл|по курсу|пересч|остальное")
    if again and question.follow_up and question.history:
        before = replace(question, text=normalize(question.history[-1]))
        found += [t for t in TARGETS if t.asked(before) and t not in found]
    return found
