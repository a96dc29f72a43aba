"""Prometheus' text format: families to samples, and what happened between two scrapes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from knowledge.errors import BadInput

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Scrape:
    """Samples by name, as they stood at one moment."""

    samples: dict[str, list[tuple[Labels, float]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Scrape":
        """Raises BadInput for what is not Prometheus' format."""
        found: dict[str, list[tuple[Labels, float]]] = {}
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    found.setdefault(sample.name, []).append((sample.labels, float(sample.value)))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise BadInput(
                "/metrics: это не формат Prometheus", "Проверьте адрес сервера"
            ) from error
        return cls(found)

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.samples)

    def total(
        self, name: str, label: str | None = None, values: tuple[str, ...] = ()
    ) -> float | None:
        """Sum over the series of a name, those with a label's values only; None where it is absent.

        A counter may stand under its name with or without _total.
        """
        for known in (name, f"{name}_total"):
            if known in self.samples:
                return sum(
                    v for labels, v in self.samples[known]
                    if label is None or labels.get(label) in values
                )  # fmt: skip
        return None

    def highest(self, name: str) -> float | None:
        return max((v for _, v in self.samples.get(name, [])), default=None)

    def buckets(self, name: str) -> dict[float, float]:
        """Cumulative counts by upper bound, summed over the series."""
        found: dict[float, float] = {}
        for labels, value in self.samples.get(f"{name}_bucket", []):
            bound = float(labels.get("le", "nan"))
            if not math.isnan(bound):
                found[bound] = found.get(bound, 0.0) + value
        return found


@dataclass(frozen=True)
class Spread:
    """What a histogram took in between two scrapes."""

    count: float
    mean: float
    buckets: tuple[tuple[float, float], ...]
    """(upper bound, count up to it)."""

    def quantile(self, q: float) -> float:
        """By linear interpolation inside the bucket, as histogram_quantile does it."""
        target, low, before = q * self.buckets[-1][1], 0.0, 0.0
        for bound, count in self.buckets:
            if count >= target:
                if math.isinf(bound):
                    return low
                inside = count - before
                return low + (bound - low) * ((target - before) / inside if inside else 1.0)
            low, before = bound, count
        return low


def spread(before: Scrape, after: Scrape, name: str) -> Spread | None:
    """None where nothing came in, or the counters began anew: the server was restarted."""
    counts = (before.total(f"{name}_count"), after.total(f"{name}_count"))
    sums = (before.total(f"{name}_sum"), after.total(f"{name}_sum"))
    if None in (*counts, *sums):
        return None
    count, total = counts[1] - counts[0], sums[1] - sums[0]  # type: ignore[operator]
    if count <= 0 or total < 0:
        return None
    earlier = before.buckets(name)
    cumulative = [(b, n - earlier.get(b, 0.0)) for b, n in sorted(after.buckets(name).items())]
    return Spread(count, total / count, tuple(cumulative) or ((math.inf, count),))


def grown(
    before: Scrape, after: Scrape, name: str, label: str | None = None, values: tuple[str, ...] = ()
) -> float | None:
    """How much a counter has grown; None where it is absent or began anew."""
    old, new = before.total(name, label, values), after.total(name, label, values)
    return new - old if old is not None and new is not None and new >= old else None
