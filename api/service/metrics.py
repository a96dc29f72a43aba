"""The service's own metrics in Prometheus' text format."""

from collections import Counter
from typing import TYPE_CHECKING, get_args

from api.schemas import SessionState

if TYPE_CHECKING:
    from api.service.service import Service

_STATES: tuple[SessionState, ...] = get_args(SessionState)


async def render(service: "Service") -> str:
    """Gauges only: each is read from what is there now."""
    page = await service.sessions(limit=100_000)
    states = Counter(view.state for view in page.data)
    busy = sum(name is not None for _, name in service.queue())
    lines: list[str] = []
    _gauge(lines, "advisor_sessions", "Sessions by state",
           [(f'state="{state}"', states[state]) for state in _STATES])  # fmt: skip
    _gauge(lines, "advisor_queue_length", "Sessions that wait", [("", states["queued"])])
    _gauge(lines, "advisor_lanes", "Accelerators", [("", len(service.queue()))])
    _gauge(lines, "advisor_lanes_busy", "Accelerators with a session", [("", busy)])
    _gauge(lines, "advisor_event_watchers", "Open event streams", [("", service.events.watchers)])
    _gauge(lines, "advisor_ready", "1 when sessions are taken", [("", int(service.ready))])
    return "\n".join(lines) + "\n"


def _gauge(lines: list[str], name: str, text: str, values: list[tuple[str, int]]) -> None:
    lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    lines += [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"
              for labels, value in values]  # fmt: skip
