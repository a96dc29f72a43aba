"""A page that stands alone: curves and a table, no script, nothing loaded from elsewhere."""

import html as escape
from collections.abc import Sequence

from knowledge.measure.requests import ttft_ms
from knowledge.quantities import format_estimate, format_number
from knowledge.types import Metric
from tools.load.outputs.base import Point, Run, spread

_WIDTH, _HEIGHT, _MARGIN = 560, 300, 52
_COLOURS = ("#1769aa", "#c1440e", "#2e7d32")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}table{border-collapse:collapse;font-size:.9rem}"
    "td,th{border-bottom:1px solid #ddd;padding:.3rem .7rem;text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child{text-align:left}.charts{display:flex;flex-wrap:wrap;gap:1rem}"
    "figure{margin:0}figcaption{font-weight:600}.bad{background:#fff3e0;padding:.6rem 1rem;"
    "border-left:4px solid #c1440e}.wide{overflow-x:auto}"
    "@media(prefers-color-scheme:dark){body{background:#16181b;color:#e6e6e6}td,th{border-color:#444}"
    ".bad{background:#3a2a18}text{fill:#e6e6e6}}"
)
_SHOWN = (
    Metric.OUTPUT_TOKENS_PER_S, Metric.REQUESTS_PER_S, Metric.GOODPUT_PER_S, Metric.TTFT_P50_MS,
    Metric.TTFT_P95_MS, Metric.TTFT_P99_MS, Metric.TPOT_P50_MS, Metric.TPOT_P95_MS,
    Metric.ITL_P99_MS, Metric.E2E_P50_MS, Metric.E2E_P95_MS, Metric.ERROR_RATE,
)  # fmt: skip


class Html:
    """Latency against throughput, the distribution of TTFT, and every figure."""

    name = "html"
    title = "страница с кривыми"

    def render(self, run: Run) -> str:
        title = escape.escape(f"{run.model} — {run.url}")
        bad = "".join(
            f"<li>{escape.escape(_load(p))}: {escape.escape(text)}</li>"
            for p in run.points
            for text in (*p.client.problems, *p.measurement.warnings)
        )
        charts = [_chart("TTFT: доля запросов не дольше", "мс", "%", _distributions(run))]
        if len(run.points) > 1:
            charts = [*(_curve(run, m) for m in (Metric.TTFT_P95_MS, Metric.TPOT_P95_MS)), *charts]
        return (
            f'<!doctype html><html lang="ru"><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
            f"<h1>{title}</h1><p>{run.started_at:%Y-%m-%d %H:%M} UTC, "
            f"нагрузка {escape.escape(run.points[0].workload.name)}, "
            f"{escape.escape(run.endpoint)}; время токенов: {run.points[-1].client.clock}.</p>"
            + (f'<div class="bad"><b>Обратите внимание</b><ul>{bad}</ul></div>' if bad else "")
            + f'<div class="charts">{"".join(charts)}</div><div class="wide">{_table(run)}</div>'
            "<p>В скобках 95 % интервал.</p></html>\n"
        )


def _load(point: Point) -> str:
    if point.streams is not None:
        return f"потоков: {point.streams}"
    return f"{format_number(point.load)} запр./с"


def _table(run: Run) -> str:
    heads = "".join(f"<th>{escape.escape(_load(point))}</th>" for point in run.points)
    rows = []
    for metric in _SHOWN:
        seen = [point.measurement.metrics.get(metric) for point in run.points]
        if any(seen):
            cells = "".join(f"<td>{format_estimate(s) if s else '—'}</td>" for s in seen)
            rows.append(f"<tr><td>{metric.value}</td>{cells}</tr>")
    return f"<table><tr><th>метрика</th>{heads}</tr>{''.join(rows)}</table>"


def _curve(run: Run, metric: Metric) -> str:
    pairs = []
    for point in run.points:
        seen = point.measurement.metrics
        if metric in seen and Metric.OUTPUT_TOKENS_PER_S in seen:
            pairs.append((seen[Metric.OUTPUT_TOKENS_PER_S].value, seen[metric].value))
    name = metric.value.removesuffix("_ms").replace("_", " ").upper()
    return _chart(f"{name} от throughput", "токенов/с", "мс", {"": pairs})


def _distributions(run: Run) -> dict[str, list[tuple[float, float]]]:
    """TTFT's quantiles of the first, a middle and the last load."""
    chosen = sorted({0, len(run.points) // 2, len(run.points) - 1})
    shares = [i / 50 for i in range(50)] + [0.99, 1.0]
    found = {}
    for point in (run.points[i] for i in chosen):
        values = [v for s in point.samples if (v := ttft_ms(s)) is not None]
        if values:
            quantiles = spread(values, shares)
            found[_load(point)] = [(v, 100 * s) for v, s in zip(quantiles, shares, strict=True)]
    return found


def _chart(title: str, x: str, y: str, series: dict[str, list[tuple[float, float]]]) -> str:
    """Lines with points on a plain pair of axes that begin at zero."""
    every = [pair for pairs in series.values() for pair in pairs]
    right = max((a for a, _ in every), default=1.0) or 1.0
    top = max((b for _, b in every), default=1.0) or 1.0

    def place(pair: tuple[float, float]) -> tuple[float, float]:
        return (
            _MARGIN + pair[0] / right * (_WIDTH - 1.5 * _MARGIN),
            _HEIGHT - _MARGIN - pair[1] / top * (_HEIGHT - 1.6 * _MARGIN),
        )

    drawn = [_axes(right, top, x, y, place)]
    for number, (name, pairs) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        spots = [place(pair) for pair in pairs]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in spots)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(spots) <= 20:
            drawn += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>'
                      for a, b in spots]  # fmt: skip
        label = (
            f'<text x="{_MARGIN + 12}" y="{_MARGIN / 2 + 16 * number:.0f}" style="fill:{colour}">'
        )
        drawn.append(f"{label}{escape.escape(name)}</text>" if name else "")
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    body = "".join(drawn)
    return (
        f"<figure><figcaption>{escape.escape(title)}</figcaption>"
        f'<svg {size} role="img" font-size="12">{body}</svg></figure>'
    )


def _axes(right: float, top: float, x: str, y: str, place) -> str:  # type: ignore[no-untyped-def]
    left, bottom = place((0, 0))
    end, _ = place((right, 0))
    _, height = place((0, top))
    parts = [
        f'<path d="M{left:.0f} {height:.0f}V{bottom:.0f}H{end:.0f}" fill="none" stroke="#888"/>'
    ]
    for share in _ticks():
        at, _ = place((share * right, 0))
        _, up = place((0, share * top))
        parts.append(f'<text x="{at:.0f}" y="{bottom + 18:.0f}" text-anchor="middle">'
                     f"{format_number(share * right)}</text>")  # fmt: skip
        parts.append(f'<text x="{left - 6:.0f}" y="{up + 4:.0f}" text-anchor="end">'
                     f"{format_number(share * top)}</text>")  # fmt: skip
    parts.append(f'<text x="{end:.0f}" y="{bottom + 36:.0f}" text-anchor="end">{x}</text>')
    parts.append(f'<text x="{left:.0f}" y="{height - 8:.0f}">{y}</text>')
    return "".join(parts)


def _ticks() -> Sequence[float]:
    return (0.0, 0.25, 0.5, 0.75, 1.0)


OUTPUT = Html()
