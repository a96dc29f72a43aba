"""Events in Russian, one line each: the terminal, the chat and bots tell a session alike."""

from pathlib import Path

from advisor.report.summary import Summary
from knowledge.quantities import format_estimate, format_number, format_slo
from knowledge.types import Estimate, Event

HANDED_IN = {"winner": "найденная конфигурация", "default": "настройки по умолчанию"}
_DECISIONS = {
    "kept": "оставлено",
    "dropped": "отброшено",
    "inconclusive": "неясно",
    "crashed": "не запустилось",
}
_STATES = {
    "queued": "ждёт в очереди",
    "running": "идёт",
    "cancelling": "останавливается",
    "done": "завершена",
    "infeasible": "завершена: SLO невыполнимы",
    "cancelled": "остановлена",
    "failed": "не удалась",
    "interrupted": "прервана",
}
_FIGURES = (
    ("output_tokens_per_s", "ток/с"),
    ("ttft_p50_ms", "мс TTFT p50"),
    ("tpot_p50_ms", "мс TPOT p50"),
)


def state_words(state: str) -> str:
    """What a state is called in Russian."""
    return _STATES.get(state, state)


def decision_words(decision: str) -> str:
    """What a decision is called in Russian."""
    return _DECISIONS.get(decision, decision)


def event_line(event: Event) -> str:  # noqa: PLR0911, PLR0912 - one return per kind of event
    """What happened; empty for what a reader need not see."""
    seen = event.payload
    match event.kind:
        case "session_started":
            return f"сессия {seen['session']}"
        case "queued":
            return f"в очереди, место {seen['position']}" if "position" in seen else "в очереди"
        case "cancelling":
            return "останавливается: ждём конца идущего замера"
        case "cancelled":
            return "остановлена; продолжить можно с этого места"
        case "progress":
            return str(seen["text"])
        case "profile":
            evidence = seen["evidence"]
            return "профиль: " + " ".join(map(str, evidence if isinstance(evidence, list) else []))
        case "trial_started":
            return f"{seen['trial']} замер ({seen['purpose']}) …"
        case "trial_finished":
            return _finished(seen)
        case "hypothesis":
            low, high = predicted(event)
            return f"гипотеза: {seen['title']}, ожидаем ускорение {low:.2f}–{high:.2f}"
        case "verdict":
            return f"{seen['trial']} {decision_words(str(seen['decision']))}: {seen['reason']}"
        case "search_ended":
            return f"поиск окончен: {seen['reason']}"
        case "llm_advice":
            advice = seen["advice"]
            count = len(advice) if isinstance(advice, list) else 0
            comment = f" {seen['comment']}" if seen["comment"] else ""
            return (
                f"LLM: предложений {count}, токенов {seen['tokens']}, ${seen['usd']:.4f}.{comment}"
            )
        case "llm_failed":
            return f"LLM не помогла ({seen['reason']}): сессия идёт без неё"
        case "launched_again":
            return (
                "разброс между запусками не даёт отличить выигрыш от шума: "
                f"обе конфигурации запускаются с нуля ещё раз (пара {seen['pair']} из "
                f"{seen['of']})"
            )
        case "run_off":
            again = f"после повторов ({seen['repeats']}) " if seen["repeats"] else ""
            return f"к сдаче: {again}лучше всех {seen['trial']}"
        case "production":
            return f"сдаём {HANDED_IN[str(seen['handed_in'])]}: {seen['reason']}"
        case "approval_requested":
            return f"нужно решение: {seen['text']}"
        case "approval":
            word = "одобрено" if seen["approved"] else "не одобрено"
            return f"{word}: {seen.get('by') or seen.get('reason', '')}"
        case "report":
            # Only its name: pages and chats show this to people on other machines.
            return f"отчёт: {Path(str(seen['path'])).name}"
    return ""


def predicted(event: Event) -> tuple[float, float]:
    """The interval of a hypothesis event."""
    bounds = event.payload.get("predicted")
    low, high = bounds if isinstance(bounds, list) else (0.0, 0.0)
    return float(low), float(high)


def result_lines(found: Summary) -> list[str]:
    """What a session came to, from its summary."""
    lines = []
    if found.simulated:
        lines.append("Цифры выдал симулятор, а не настоящий движок.")
    if found.handed_in:
        lines.append(f"Сдано: {HANDED_IN[found.handed_in]} — {found.reason}.")
    for name, gain in (
        ("настроек по умолчанию", found.speedup_over_default),
        ("наивного эталона", found.speedup_over_naive),
    ):
        if gain:
            lines.append(
                f"Быстрее {name} в {_ratio(gain)} раза "
                f"(измерено здесь, {found.objective.value}, 95 % интервал)."
            )
    for slo in found.slos:
        kept = {True: "выполнен", False: "нарушен", None: "не измерен"}[slo.met]
        measured = f", измерено {format_estimate(slo.measured)}" if slo.measured else ""
        lines.append(f"SLO {format_slo(slo.slo)} {kept}{measured}.")
    lines.append(
        f"Гипотез проверено: {len(found.hypotheses)}; прогноз попал в "
        f"{found.predictions_hit} из {found.predictions_judged}."
    )
    return lines


def _ratio(gain: Estimate) -> str:
    value, low, high = (format_number(x, 2) for x in (gain.value, gain.low, gain.high))
    return f"{value} [{low}; {high}]"


def _finished(seen: dict[str, object]) -> str:
    if "failure" in seen:
        return f"{seen['trial']} не удался: {seen['failure']}, {seen['message']}"
    metrics = seen.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    parts = []
    for name, unit in _FIGURES:
        if name in metrics:
            value, low, high = metrics[name]
            parts.append(f"{value:.1f} [{low:.1f}; {high:.1f}] {unit}")
    return f"{seen['trial']} за {seen['seconds']} с: " + ", ".join(parts)
