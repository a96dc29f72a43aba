"""Intervals, comparisons and steady state. Every random draw is seeded."""

from knowledge.statistics.bootstrap import (
    Statistic,
    bootstrap_interval,
    bootstrap_ratio,
    wilson_interval,
)
from knowledge.statistics.compare import minimum_detectable_effect, ratio_of_estimates, speedup
from knowledge.statistics.fidelity import paired_tokens
from knowledge.statistics.noninferiority import non_inferior
from knowledge.statistics.preference import krippendorff_alpha, raw_agreement, win_rate
from knowledge.statistics.quality import quality_verdict
from knowledge.statistics.quantiles import clustered_quantile
from knowledge.statistics.steady import steady_start

__all__ = [
    "Statistic",
    "bootstrap_interval",
    "bootstrap_ratio",
    "clustered_quantile",
    "krippendorff_alpha",
    "minimum_detectable_effect",
    "non_inferior",
    "paired_tokens",
    "quality_verdict",
    "ratio_of_estimates",
    "raw_agreement",
    "speedup",
    "steady_start",
    "wilson_interval",
    "win_rate",
]
