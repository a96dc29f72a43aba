"""Whether the client itself was the bottleneck: then the figures are its own, not the server's."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from knowledge.quantities import format_number

_MOST_LATE_MS = 5.0
_MOST_LAG_MS = {True: 50.0, False: 5.0}
"""By whether the kernel stamps arrivals: then a slow loop delays only the next request."""
_MOST_CPU = 0.9
_LEAST_SENT = 0.98
_MOST_IDLE = 0.03
_STAMPED = 0.99


@dataclass(frozen=True)
class ClientHealth:
    """What the generator says of itself. Without problems the figures are the server's."""

    loop_lag_p99_ms: float = 0.0
    """How late the event loop came to what was due."""
    send_late_p99_ms: float = 0.0
    """Open loop: how long after its moment a request was taken up."""
    queued_p99_ms: float = 0.0
    """Open loop: how long requests waited in the client because max_in_flight were open."""
    cpu_share: float = 0.0
    """Busy share of the core that the (busiest) generator ran on."""
    kernel_stamped: float = 0.0
    """Share of the arrivals whose time is the kernel's; the others are of this process' clock."""
    asked: int | None = None
    """Open loop: arrivals of the schedule."""
    taken_up: int | None = None
    """Open loop: those that the client came to in time."""
    idle_share: float = 0.0
    """Closed loop: share of the streams' time between an answer and the next request."""
    processes: int = 1

    @property
    def valid(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """One Russian sentence for each sign that the client was too slow."""
        found = []
        if self.send_late_p99_ms > _MOST_LATE_MS:
            late = format_number(self.send_late_p99_ms)
            found.append(f"Клиент опаздывал с отправкой: p99 {late} мс")
        if self.loop_lag_p99_ms > _MOST_LAG_MS[self.kernel_stamped >= _STAMPED]:
            lag = format_number(self.loop_lag_p99_ms)
            found.append(f"Клиент отставал от событий: p99 {lag} мс")
        if self.cpu_share > _MOST_CPU:
            found.append(f"Ядро клиента занято на {self.cpu_share:.0%}: узкое место в нём")
        if self.asked and self.taken_up is not None and self.taken_up < _LEAST_SENT * self.asked:
            found.append(f"Клиент начал {self.taken_up} из {self.asked} запросов расписания")
        if self.idle_share > _MOST_IDLE:
            found.append(
                f"Потоки простаивали в клиенте {self.idle_share:.0%} времени между запросами"
            )
        return tuple(found)

    @property
    def clock(self) -> str:
        """Where token times come from, in Russian."""
        if self.kernel_stamped >= _STAMPED:
            return "метки ядра (SO_TIMESTAMPNS)"
        if self.kernel_stamped == 0:
            return "часы процесса: метки ядра недоступны (TLS или платформа)"
        return f"метки ядра у {self.kernel_stamped:.0%} порций, у остальных часы процесса"


@dataclass
class Notes:
    """What the generator writes down about itself during a round."""

    late_s: list[float] = field(default_factory=list)
    queued_s: list[float] = field(default_factory=list)
    idle_s: float = 0.0
    stream_s: float = 0.0
    asked: int | None = None
    taken_up: int | None = None
    _cpu: float = field(default_factory=time.thread_time)
    _begun: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        self._cpu, self._begun = time.thread_time(), time.perf_counter()

    def health(self, loop_lag_p99_ms: float, kernel_stamped: float) -> ClientHealth:
        wall = max(1e-9, time.perf_counter() - self._begun)
        return ClientHealth(
            loop_lag_p99_ms=loop_lag_p99_ms,
            send_late_p99_ms=1000 * _p99(self.late_s),
            queued_p99_ms=1000 * _p99(self.queued_s),
            cpu_share=(time.thread_time() - self._cpu) / wall,
            kernel_stamped=kernel_stamped,
            asked=self.asked,
            taken_up=self.taken_up,
            idle_share=self.idle_s / self.stream_s if self.stream_s else 0.0,
        )


def together(parts: Sequence[ClientHealth]) -> ClientHealth:
    """Of several processes: the worst of each, and what was sent in all."""
    asked = [part.asked for part in parts if part.asked is not None]
    taken = [part.taken_up for part in parts if part.taken_up is not None]
    return ClientHealth(
        loop_lag_p99_ms=max(part.loop_lag_p99_ms for part in parts),
        send_late_p99_ms=max(part.send_late_p99_ms for part in parts),
        queued_p99_ms=max(part.queued_p99_ms for part in parts),
        cpu_share=max(part.cpu_share for part in parts),
        kernel_stamped=min(part.kernel_stamped for part in parts),
        asked=sum(asked) if asked else None,
        taken_up=sum(taken) if taken else None,
        idle_share=max(part.idle_share for part in parts),
        processes=len(parts),
    )


def processes_for(health: ClientHealth, most: int | None = None) -> int:
    """How many processes the next round needs: twice as many once a core is nearly full."""
    limit = most or max(1, len(os.sched_getaffinity(0)) // 2 if hasattr(os, "sched_getaffinity")
                        else (os.cpu_count() or 2) // 2)  # fmt: skip
    if health.cpu_share <= 0.8:
        return health.processes
    return min(limit, 2 * health.processes)


def _p99(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[int(0.99 * (len(ordered) - 1))] if ordered else 0.0
