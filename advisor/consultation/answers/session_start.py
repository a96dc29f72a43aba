"""Start a measured session, or say the command that does."""

from advisor.consultation.question import Question
from advisor.consultation.types import SessionRequest
from advisor.consultation.writing import Draft

_START = (
    r"(запусти|начни|стартуй|проведи|сделай|поставь|погоняй|запустить|прогони|start|run)\w*[^.?!]{0,18}(замер|оптимиз|сесси|бенч|прогон|тюнинг|эксперимент|измерен|session|benchmark|optimi)|"
    r"^оптимизируй|^протюнь|^измерь|^замерь|подбери настройки и измерь"
)


EXAMPLES = (
    "запусти замер модели",
    "запусти оптимизацию модели",
    "start a benchmark session",
)


def score(question: Question) -> float:
    return (
        9.6
        if question.has(_START)
        and not question.has(r"сколько (стоит|займ)|как (запустить|начать|провести)")
        else 0
    )


async def write(question: Question, draft: Draft) -> None:
    request = request_of(question)
    if request is None:
        draft.lead(
            "Какую модель измерять? Годится папка, id с хаба, файл .gguf или `demo`.",
            "Which model should be measured?",
        )
        return
    started = (
        await question.services.sessions.start(request) if question.services.sessions else None
    )
    line = command(request)
    if started:
        draft.note_figure("session_started", 1)
        draft.lead(
            f"**Сессия {started} запущена**: {request.model}, нагрузка {request.workload}, цель"
            f" {request.objective}, бюджет {request.budget}. Спросите «как моя сессия?», чтобы"
            " узнать ход.",
            f"**Session {started} is running**: {request.model}, {request.workload}, objective"
            f" {request.objective}, budget {request.budget}.",
        )
        draft.add(f"То же из терминала: `{line}`")
        return
    draft.lead(
        "Отсюда сессию запустить нельзя: её ведёт командная строка на машине, которую надо"
        f" измерить.\n\n```bash\n{line}\n```",
        f"Sessions start on the machine to be measured:\n\n```bash\n{line}\n```",
    )
    draft.add(
        "Она измерит движок с настройками по умолчанию, проверит гипотезы с учётом качества и SLO,"
        " перепроверит победителя с холодного старта и напишет отчёт. Прервать можно в любой"
        " момент: `advisor resume СЕССИЯ` продолжит."
    )
    draft.assume(f"нагрузка {request.workload}, цель {request.objective}, бюджет {request.budget}")


def request_of(question: Question) -> SessionRequest | None:
    """What to measure, from the frame."""
    model = (
        "demo"
        if question.has(r"(?<![a-z])demo(?![a-z])|демо")
        else question.models[0].hub
        if question.models
        else None
    )
    if model is None:
        return None
    objective = (
        "throughput"
        if question.has(r"throughput|пропускн|производительн")
        else (
            "ttft"
            if question.has(r"цел\w+ .{0,8}ttft|по ttft")
            else (
                "tpot"
                if question.has(r"цел\w+ .{0,8}tpot|по tpot")
                else "cost"
                if question.has(r"стоимост|цен|cost")
                else "latency"
            )
        )
    )
    workload = next(
        (
            name
            for name, words in (
                ("rag", r"(?<![a-z])rag(?![a-z])|документ"),
                ("code", r"код[а-я]*\b|code"),
                ("batch", r"пакетн|offline|офлайн"),
                ("agent", r"агент|agent"),
            )
            if question.has(words)
        ),
        "demo" if model == "demo" else "chat",
    )
    frame = question.frame
    slos = tuple(
        f"{name}={value:g}ms"
        for name, value in (("ttft_p95", frame.ttft_ms), ("tpot_p95", frame.tpot_ms))
        if value
    )
    budget = (
        f"{frame.minutes:g}m" if frame.minutes else f"{frame.hours:g}h" if frame.hours else "30m"
    )
    return SessionRequest(
        model=model,
        engine="vllm",
        workload=workload,
        concurrency=frame.concurrency,
        objective=objective,
        slos=slos,
        budget=budget,
    )


def command(request: SessionRequest) -> str:
    """The same as `advisor optimize …`."""
    parts = [
        "advisor optimize",
        request.model,
        f"--workload {request.workload}",
        f"--objective {request.objective}",
    ]
    if request.concurrency:
        parts.append(f"--concurrency {request.concurrency}")
    parts += [f"--slo {slo}" for slo in request.slos]
    return " ".join([*parts, f"--budget {request.budget}"])
