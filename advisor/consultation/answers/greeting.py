"""What the advisor can do."""

from advisor.consultation.question import Question
from advisor.consultation.writing import Draft

EXAMPLES = (
    "привет что умеешь",
    "что ты умеешь",
    "чем ты можешь помочь",
    "какие вопросы можно задавать",
    "кто ты",
    "what can you do",
)


def score(question: Question) -> float:
    if question.has(
        r"что ты (умеешь|можешь)|чем (ты )?(можешь )?(помо|полез)|кто ты|what can you do|who are"
        r" you|^\W*(help|помощь|справка)\W*$"
    ):
        return 9
    return (
        3.5
        if question.has(
            r"^\W*(привет|здравств|добр\w+"
            r" (день|утро|вечер)|hello|hi\b|hey\b|салют|спасибо|thanks|благодар)"
        )
        else 0
    )


async def write(question: Question, draft: Draft) -> None:
    if question.has(r"спасибо|благодар|thanks"):
        draft.lead(
            "Пожалуйста. Если появятся модель, GPU и нагрузка — посчитаю.", "You are welcome."
        )
        return
    draft.lead(
        "Я советник по inference LLM: считаю до того, как потрачена хоть минута GPU, и доказываю"
        " замером.",
        "I advise on LLM inference: I compute before a GPU minute is spent, and prove by"
        " measuring.",
    )
    draft.add(
        "- **Влезет ли:** память весов и KV cache, сколько запросов одновременно, сколько карт.\n-"
        " **Как быстро:** TTFT, TPOT и ток/с с 90 % интервалом и тем, измерено это или прогноз.\n-"
        " **На чём и почём:** выбор GPU и точности, стоимость 1M токенов, точка безубыточности,"
        " spot.\n- **Почему медленно:** причины высокого TTFT, скачков ITL, OOM, низкой загрузки"
        " GPU.\n- **Как запустить:** команда vLLM или SGLang.\n- **Измерить:** сессия `advisor"
        " optimize` с проверкой качества и отчётом.",
        "- Does it fit, how many requests, how many GPUs\n- How fast: TTFT, TPOT, tok/s with"
        " intervals\n- Which GPU and format, cost per 1M tokens\n- Why it is slow\n- Launch"
        " commands\n- Measured sessions: `advisor optimize`",
    )
    draft.offer(
        "Спросите, например: «Llama-3.1-70B в FP8 на двух H100, контекст 8к — сколько запросов"
        " выдержит и почём миллион токенов?»",
        "Ask: “How many requests does Llama-3.1-70B in FP8 on two H100 hold at 8k context?”",
    )
