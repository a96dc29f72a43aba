"""Latency against throughput of every trial, with the Pareto front."""

from collections.abc import Sequence

from markupsafe import Markup

from api.dashboard import svg
from api.dashboard.language import Language
from api.schemas import TrialView
from knowledge.types import Estimate, Metric

_RATE = Metric.OUTPUT_TOKENS_PER_S
Point = tuple[TrialView, Estimate, Estimate]


def latency_of(objective: Metric) -> Metric:
    """The latency to show: the objective's own, or the whole answer's."""
    return Metric.E2E_P50_MS if objective.higher_is_better else objective


def points(trials: Sequence[TrialView], latency: Metric) -> list[Point]:
    """Trials that have both figures."""
    found = []
    for trial in trials:
        rate, delay = trial.metrics.get(_RATE.value), trial.metrics.get(latency.value)
        if rate and delay and min(rate.low, delay.low) > 0:
            found.append((trial, rate, delay))
    return found


def front(of: Sequence[Point]) -> list[Point]:
    """Points that no other beats in both figures, by rising throughput."""
    best: list[Point] = []
    for point in sorted(of, key=lambda p: (-p[1].value, p[2].value)):
        if not best or point[2].value < best[-1][2].value:
            best.append(point)
    return best[::-1]


def draw(
    trials: Sequence[TrialView], objective: Metric, language: Language, spoiled: frozenset[str]
) -> Markup:
    """Both widths; nothing before there are two points. `spoiled` may not be handed in."""
    latency = latency_of(objective)
    found = points(trials, latency)
    if len(found) < 2:
        return Markup("")
    return svg.both(lambda width: _draw(found, latency, language, spoiled, width))


def _draw(
    found: list[Point], latency: Metric, language: Language, spoiled: frozenset[str], width: float
) -> svg.Drawing:
    height = 340.0 if width > 500 else 300.0
    title = language.t("Задержка и пропускная способность измеренных конфигураций")
    picture = svg.Drawing(width, height, title, "pareto")
    rates = [v for _, r, _ in found for v in (r.low, r.high)]
    delays = [v for _, _, d in found for v in (d.low, d.high)]
    x = svg.Scale(*svg.padded(rates, log=True), 56, width - 14, log=True)
    y = svg.Scale(*svg.padded(delays, log=True), height - 44, 28, log=True)
    names = (
        f"Output throughput, {language.unit('ток/с')} → {language.t('лучше')}",
        f"{language.metric(latency)}, {language.unit('мс')} ↓ {language.t('лучше')}",
    )
    svg.axes(picture, x, y, language, names, x_ticks=7 if width > 500 else 4)
    sound = [point for point in found if point[0].id not in spoiled]
    picture.path("front", _staircase(front(sound), x, y))
    for point in found:
        _point(picture, point, x, y, language, spoiled)
    _names(picture, found, x, y)
    return picture


def _staircase(line: list[Point], x: svg.Scale, y: svg.Scale) -> list[tuple[float, float]]:
    if not line:
        return []
    corners = [(x.start, y(line[0][2].value))]
    for number, (_, rate, delay) in enumerate(line):
        corners.append((x(rate.value), y(delay.value)))
        after = y(line[number + 1][2].value) if number + 1 < len(line) else y.end
        corners.append((x(rate.value), after))
    return corners


def _point(
    picture: svg.Drawing, point: Point, x: svg.Scale, y: svg.Scale, language: Language,
    spoiled: frozenset[str],
) -> None:  # fmt: skip
    trial, rate, delay = point
    kind = "spoiled" if trial.id in spoiled else kind_of(trial)
    at_x, at_y = x(rate.value), y(delay.value)
    picture.line(f"whisker {kind}", x(rate.low), at_y, x(rate.high), at_y)
    picture.line(f"whisker {kind}", at_x, y(delay.low), at_x, y(delay.high))
    tip = (
        f"{trial.id.split('-')[0]} {trial.title}: {language.amount(rate.value, 'ток/с')}, "
        f"{language.amount(delay.value, 'мс')}"
    )
    if kind in ("baseline", "naive"):
        picture.mark("rect", f"dot {kind}", tip, x=at_x - 5, y=at_y - 5, width=10.0, height=10.0)
    elif kind == "spoiled":
        picture.path(f"cross {kind}", [(at_x - 5, at_y - 5), (at_x + 5, at_y + 5)])
        picture.path(f"cross {kind}", [(at_x - 5, at_y + 5), (at_x + 5, at_y - 5)])
    else:
        picture.mark("circle", f"dot {kind}", tip, cx=at_x, cy=at_y, r=5.5)


def kind_of(trial: TrialView) -> str:
    """The class of a trial's mark."""
    if trial.purpose in ("naive", "production", "baseline"):
        return trial.purpose
    return "kept" if trial.decision == "kept" else "tried"


def _names(picture: svg.Drawing, found: list[Point], x: svg.Scale, y: svg.Scale) -> None:
    """Trial numbers; points that stand close together share one label."""
    groups: list[tuple[float, float, list[str]]] = []
    for trial, rate, delay in sorted(found, key=lambda p: p[0].ordinal):
        at_x, at_y, name = x(rate.value), y(delay.value), trial.id.split("-")[0]
        near = [g for g in groups if abs(g[0] - at_x) < 34 and abs(g[1] - at_y) < 18]
        if near:
            near[0][2].append(name)
        else:
            groups.append((at_x, at_y, [name]))
    for at_x, at_y, names in groups:
        left = at_x > picture.width * 0.75
        picture.text("name", at_x + (-9 if left else 9), at_y - 8, ", ".join(names),
                     "end" if left else "start")  # fmt: skip
