"""A model whose weights nobody outside has: it can't be run, only called."""

from advisor.consultation.question import Question
from advisor.consultation.writing import Draft
from knowledge.api_prices import api_price_in, api_prices
from knowledge.patterns import compiled

_CLOSED = (
    r"(?<![a-zа-я])(?:gpt-?\s?(?:3\.5|4\w*|5\w*)(?:[ .-](?:mini|nano|turbo|pro|o|\d))*|chat-?gpt|"
    r"чат-?\s?гпт|gemini\w*|гемини|claude\w*|клод(?:а|у|ом|е)?|o[134]-(?:mini|preview|pro)|opus|sonnet)"
    r"(?![a-zа-я])"
)
_RUN = (
    r"запуст|запуск|развер|подня|скача|локальн|у себя|своем|своей|своих|влез|помест|потян|встан|"
    r"хостить|крут|постав|сколько (?:памят|vram|gpu|карт)|какую карт|какое желез|run|host|deploy|"
    r"fit|vllm|веса|требован"
)

EXAMPLES = (
    "запустить gpt на своей карте",
    "влезет ли claude на карта",
    "какое железо нужно для chatgpt",
    "развернуть gpt локально",
)
ANYWHERE = True


def score(question: Question) -> float:
    if question.own.models or not question.has(_CLOSED):
        return 0
    if question.frame.per_million or question.own.tokens_per_day or question.has(r"(?<![a-z])api"):
        return 0
    return 9.6 if question.frame.gpus or question.has(_RUN) else 0


async def write(question: Question, draft: Draft) -> None:
    match = compiled(_CLOSED).search(question.text)
    name = match[0].strip() if match else "эта модель"
    draft.lead(
        f"**Запустить «{name}» у себя нельзя: её веса не опубликованы**, это закрытая модель, она"
        " доступна только через API. Её размер и нужная память неизвестны, а выдумывать"
        " не буду.",
        f"**“{name}” can't be run on your own: its weights are not published**, only its API is.",
    )
    draft.add(
        "Открытые модели, которые берут вместо неё: gpt-oss-20b (около 14 ГБ в MXFP4, карта на"
        " 16–24 ГБ), gpt-oss-120b (около 65 ГБ, одна H100 80GB), Qwen3-32B и Qwen3-30B-A3B, Llama"
        " 3.3 70B, крупнее — Qwen3-235B-A22B и DeepSeek-R1. Назовите одну из них и карту —"
        " посчитаю память, скорость и цену."
    )
    price = api_price_in(question.text)
    if price:
        draft.add(
            f"Для сравнения, API {price.title}: {draft.money(price.input)} за 1M входных и"
            f" {draft.money(price.output)} за 1M выходных токенов."
        )
        draft.cite(api_prices().provenance[0].title, api_prices().provenance[0].date.isoformat())
    draft.cite("каталог моделей проекта (knowledge/architectures)", "2026-11-23")
