"""Where to begin: the order of steps, with the figures of the named deployment where there are."""

from advisor.consultation.answers._common import assumptions, cite_setting, devices, forecast
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft

_STEPS = (
    "**Зафиксируйте нагрузку и SLO:** длины входа и выхода, запросов в секунду в пик, TTFT и TPOT"
    " p95, которые нужны людям.",
    "**Измерьте то, что есть:** `advisor bench URL` на своих запросах; без этого не видно, что"
    " ускорять.",
    "**Найдите предел:** очередь (num_requests_waiting), KV cache (kv_cache_usage_perc), prefill"
    " (TTFT растёт с длиной), decode (TPOT против roofline), CPU. Один предел — одно лекарство.",
    "**Сначала бесплатное:** современный движок с continuous batching, prefix caching при общих"
    " префиксах, chunked prefill, `--max-model-len` по настоящим длинам, `--max-num-seqs` под SLO.",
    "**Потом точность:** FP8 на Hopper, Ada и новее, INT8 (W8A8) или INT4 (AWQ, GPTQ) на Ampere, с"
    " проверкой качества на своих данных.",
    "**Потом раскладка и железо:** наименьший TP, при котором выполняется SLO, дальше реплики;"
    " спекулятивное декодирование при малом batch.",
    "**Закрепите:** мониторинг и алерты, повторный замер после каждого обновления.",
)


EXAMPLES = (
    "с чего начать оптимизацию инференса",
    "как ускорить инференс модели",
    "план оптимизации llm сервиса",
    "распиши план внедрения",
    "что сделать в первую очередь чтобы ускорить",
    "how to start optimizing inference",
    "мы только начинаем с чего начать",
)


def score(question: Question) -> float:
    if question.has(
        r"с чего (мне |нам |лучше )?нач|перв\w+ шаг|where (do i|should i|to) start|"
        r"(план|дорожн\w+ карт\w+|roadmap|чек-?лист)[^.?]{0,25}(оптимиз|внедр|запуск|ускор)|"
        r"в первую очередь"
    ):
        return 8.6 if not question.has(r"ttft|tpot|oom|медлен|ошибк") else 5
    return 0


async def write(question: Question, draft: Draft) -> None:
    draft.lead(
        "Начните с замера, а не с настроек: порядок такой.",
        "Begin with a measurement: load and SLO, baseline, bottleneck, free settings, precision,"
        " layout, monitoring.",
    )
    if draft.language == "ru":
        draft.add("\n".join(f"{n}. {step}" for n, step in enumerate(_STEPS, start=1)))
    setting = resolve(question.frame)
    if setting is not None and setting.gpu is not None and room(setting).loads:
        seen = forecast(question, setting)
        draft.add(
            f"Для {setting.subject.title} в {setting.label} на"
            f" {devices(draft, setting.gpu, setting.count)} ожидается"
            f" ({seen.speed_provenance.russian}, 90 % интервал) TTFT"
            f" {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
            f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}; если измеренное много хуже — есть что"
            " исправлять."
        )
        assumptions(draft, setting)
        cite_setting(draft, setting)
    draft.cite("порядок сессии inference-advisor: profile, baseline, hypotheses", "2026-11")
    draft.offer(
        "Всё это делает одна команда: `advisor optimize MODEL --workload chat --budget 1h`."
        " Назовите"
        " модель, карту и нагрузку, и я посчитаю, чего ждать.",
        "`advisor optimize MODEL --workload chat` does all this.",
    )
