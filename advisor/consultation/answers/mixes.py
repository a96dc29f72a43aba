"""Routing by complexity and caches: what a share of the traffic saves."""

from advisor.consultation.answers import _notes
from advisor.consultation.question import Question
from advisor.consultation.writing import Draft

_CACHE = (
    r"(семантич\w+|semantic|hit.?rate|попадан\w+|кешир\w+ ответ|кэшир\w+ ответ|кеш\w* ответ|кэш\w*"
    r" ответ|кеша?\b.*(эконом|сэконом)|кэша?\b.*(эконом|сэконом))"
)
_ROUTE = (
    r"маршрут|routing|роутинг|роутер|каскад|cascade|router|остальные на|простые запросы|сложные"
    r" (запросы )?на"
)


def score(question: Question) -> float:
    frame = question.frame
    if question.has(_ROUTE):
        return 9.4 if frame.shares and len(frame.per_million) >= 2 else 8
    if question.has(_CACHE):
        return 9.2 if frame.shares else 8.2
    return 0


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    if question.has(_ROUTE):
        if frame.shares and len(frame.per_million) >= 2:
            share, (small, large) = frame.shares[0], frame.per_million[:2]
            value = share * small.value + (1 - share) * large.value
            saved = 1 - value / large.value
            sign = small.currency
            draft.note_figure("per_million", value)
            draft.lead(
                f"**Средняя цена — {draft.money(value, sign)} за 1M токенов**, на"
                f" {draft.num(saved * 100, 0)} % дешевле, чем всё на большой модели.",
                f"**{draft.money(value, sign)} per 1M tokens on average.**",
            )
            draft.work(
                f"{draft.num(share * 100, 0)} % × {draft.money(small.value, sign)} +"
                f" {draft.num((1 - share) * 100, 0)} % × {draft.money(large.value, sign)} ="
                f" {draft.money(value, sign)}"
            )
            draft.add(
                "Если роутер ошибается и запрос приходится повторять на большой модели, каждый"
                " процент таких повторов добавляет к цене 1 % цены большой модели. Долю ошибок"
                " измеряют на своей разметке."
            )
        _notes.write("routing", draft)
        return
    if frame.shares:
        share = frame.shares[0]
        if frame.budget_month:
            value, sign = frame.budget_month.value * share, frame.budget_month.currency
            draft.note_figure("saved", value)
            draft.lead(
                f"**Около {draft.money(value, sign)} в месяц**, верхняя оценка.",
                f"**About {draft.money(value, sign)} a month**, an upper bound.",
            )
            draft.work(
                f"{draft.money(frame.budget_month.value, sign)} × {draft.num(share * 100, 0)} % ="
                f" {draft.money(value, sign)}; минус сам кеш (эмбеддинги, хранилище) и ложные"
                " попадания"
            )
            draft.add(
                "Экономия превращается в деньги, только если после неё машин становится меньше."
            )
        else:
            draft.lead(
                f"При доле попаданий {draft.num(share * 100, 0)} % модель обслуживает лишь"
                f" {draft.num((1 - share) * 100, 0)} % запросов: столько же экономится её времени,"
                " если попадания — запросы средней длины."
            )
    _notes.write("semantic-cache", draft)
