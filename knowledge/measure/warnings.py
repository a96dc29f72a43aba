"""What a reader of a measurement must know about it, in Russian."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from knowledge.measure.rates import RAMP_SHARE, Rates
from knowledge.measure.requests import failed, unfinished
from knowledge.statistics import steady_start
from knowledge.types import RequestSample

_FEW_FOR_P95 = 20
_FEW_FOR_P99 = 100
_DRIFT = 0.15


def warnings_of(
    due: Sequence[RequestSample],
    kept: Sequence[RequestSample],
    rates: Sequence[Rates],
    *,
    round_s: float,
) -> tuple[str, ...]:
    """One sentence for each thing that makes the figures weaker than they look."""
    notes = [_failures(due), _unfinished(due), _few(kept), _only_ramp(kept, round_s)]
    if any(rate.whole_round for rate in rates):
        notes.append(
            "В установившемся окне не пришло ни одного токена: throughput взят по раунду целиком "
            "до последнего ответа"
        )
    notes.append(_drift(rates))
    return tuple(note for note in notes if note)


def _failures(due: Sequence[RequestSample]) -> str:
    causes = Counter((s.error or "нет токенов").split(":")[0] for s in due if failed(s))
    if not causes:
        return ""
    listed = ", ".join(f"{cause}: {count}" for cause, count in causes.most_common(3))
    return f"Запросов с ошибкой: {causes.total()} из {len(due)} ({listed})"


def _unfinished(due: Sequence[RequestSample]) -> str:
    count = sum(unfinished(s) for s in due)
    if not count:
        return ""
    return (
        f"Не закончились к концу замера: {count} из {len(due)} запросов, "
        "поэтому настоящие задержки больше показанных"
    )


def _few(kept: Sequence[RequestSample]) -> str:
    count = sum(s.ok for s in kept)
    if not count or count >= _FEW_FOR_P99:
        return ""
    which = "p95 и p99" if count < _FEW_FOR_P95 else "p99"
    return f"Запросов в замере: {count}, {which} определяются самыми медленными из них"


def _only_ramp(kept: Sequence[RequestSample], round_s: float) -> str:
    """Every request that counts was sent while the streams were starting."""
    served = [s for s in kept if s.ok]
    if not served or any(s.intended_s >= round_s / RAMP_SHARE for s in served):
        return ""
    return (
        "За раунд каждый поток успел не больше одного запроса: задержки включают разгон, "
        "когда все потоки стартуют разом"
    )


def _drift(rates: Sequence[Rates]) -> str:
    """Rates that were still settling, in most rounds and by more than noise."""
    shifts = []
    for rate in rates:
        per_second = rate.tokens_per_window
        start = steady_start(per_second)
        settled = float(per_second[start:].mean())
        shifts.append(float(per_second[:start].mean()) / settled - 1 if start and settled else 0.0)
    typical = float(np.median(shifts)) if shifts else 0.0
    if abs(typical) < _DRIFT:
        return ""
    word = "ниже" if typical < 0 else "выше"
    return f"Начало окна на {abs(typical):.0%} {word} остального: сервер ещё не установился"
