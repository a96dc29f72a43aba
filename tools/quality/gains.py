"""Is a gain of the machine's, of the text's, or of the change's: what a fast server may owe to.

Prefix caches and speculation look better on prompts that repeat; a card that was held down, or
that another program used, looks worse than it is.
"""

from collections.abc import Mapping

from knowledge.quantities import format_percent
from knowledge.types import Check, EngineConfig, GpuTelemetry, Telemetry, Workload

_MOST_MORE_HITS = 0.15
_CHANCE_TOKENS = 8
"""Two texts may begin alike: the same word, the template's first tokens."""
_MOST_LIMITED = 0.3
_HELD_DOWN = ("hw_slowdown", "sw_thermal", "hw_thermal", "hw_power_brake")
"""Not the power limit: that is how cards are run, for the default too."""
_NOT_CHECKED = "не проверено"


def gain_checks(
    workload: Workload, config: EngineConfig, telemetry: Telemetry | None
) -> tuple[Check, ...]:
    """Checks of a trial's figures against its telemetry."""
    counters = telemetry.engine if telemetry else {}
    cards = telemetry.gpus if telemetry else ()
    return (_prefix(workload, counters), _speculation(workload, config), _throttling(cards))


def _prefix(workload: Workload, counters: Mapping[str, float]) -> Check:
    """Prompts are unique but for the share that the workload asks for."""
    name = "Prefix cache на новых запросах (unseen prompts)"
    shared = _shared_share(workload)
    chance = _MOST_MORE_HITS + _CHANCE_TOKENS / max(1.0, workload.input_tokens.mean)
    most = f"{format_percent(shared)} + {format_percent(chance)}"
    asked = f"попаданий не больше общего начала запросов: {most}"
    hits = counters.get("prefix_cache_hit_rate")
    if hits is None or workload.trace_path or workload.conversation:
        why = "движок не сообщает" if hits is None else "запросы повторяют друг друга сами"
        return Check(name=name, passed=True, asked=asked, seen=f"{_NOT_CHECKED}: {why}")
    return Check(
        name=name, passed=hits <= shared + chance, asked=asked, seen=f"{format_percent(hits)}"
    )


def _shared_share(workload: Workload) -> float:
    tokens = min(workload.shared_prefix_tokens, workload.input_tokens.high)
    return workload.shared_prefix_share * tokens / max(1.0, workload.input_tokens.mean)


def _speculation(workload: Workload, config: EngineConfig) -> Check:
    """A model that is fed noise repeats itself, and n-grams guess it: a gain real text has not."""
    name = "Speculation на живом тексте (natural text)"
    used = [flag for flag in config.flags if "specul" in flag or "draft" in flag]
    if not used:
        return Check(name=name, passed=True, asked="настоящий текст", seen="speculation нет")
    natural = workload.text == "natural" or workload.trace_path is not None
    return Check(
        name=name,
        passed=natural,
        asked="настоящий текст",
        seen="настоящий текст" if natural else "случайные токены: на них модель повторяется",
    )


def _throttling(cards: tuple[GpuTelemetry, ...]) -> Check:
    name, asked = (
        "Частоты не снижены (throttling)",
        f"не дольше {format_percent(_MOST_LIMITED)} замера",
    )
    shares = {
        reason: max(card.limited_by.get(reason, 0.0) for card in cards)
        for reason in _HELD_DOWN
        if cards
    }
    held = {reason: share for reason, share in shares.items() if share > _MOST_LIMITED}
    if not cards:
        seen = f"{_NOT_CHECKED}: GPU нет"
        return Check(name=name, passed=True, asked=asked, seen=seen)
    seen = ", ".join(f"{reason} {format_percent(share)}" for reason, share in held.items())
    return Check(name=name, passed=not held, asked=asked, seen=seen or "не снижались")
