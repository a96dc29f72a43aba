"""Intervals, comparisons and steady state. Every random draw is seeded."""

from knowledge.statistics.bootstrap import (
    Statistic,
    bootstrap_interval,
    bootstrap_ratio,
    wilson_interval,
)
from knowledge.statistics.compare import minimum_detectable_effect, ratio_of_estimates, speedup
from knowledge.statistics.detectable import detectable_speedup
from knowledge.statistics.fidelity import paired_tokens
from knowledge.statistics.launches import Launches
from knowledge.statistics.noninferiority import non_inferior
from knowledge.statistics.preference import krippendorff_alpha, raw_agreement, win_rate
from knowledge.statistics.quality import quality_verdict
from knowledge.statistics.quantiles import clustered_quantile
from knowledge.statistics.rate import Stretch, event_rate, rate_of
from knowledge.statistics.sequential import Answer, Judgement, Sequential
from knowledge.statistics.slow import Course, mean_in_time
from knowledge.statistics.steady import steady_start

__all__ = [
    "Answer",
    "Course",
    "Judgement",
    "Launches",
    "Sequential",
    "Statistic",
    "Stretch",
    "bootstrap_interval",
    "bootstrap_ratio",
    "clustered_quantile",
    "detectable_speedup",
    "event_rate",
    "krippendorff_alpha",
    "mean_in_time",
    "minimum_detectable_effect",
    "non_inferior",
    "paired_tokens",
    "quality_verdict",
    "rate_of",
    "ratio_of_estimates",
    "raw_agreement",
    "speedup",
    "steady_start",
    "wilson_interval",
    "win_rate",
]
