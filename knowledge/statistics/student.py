"""Quantiles of Student's t: what a bootstrap of few values is too narrow by."""

import math
from statistics import NormalDist


def normal_quantile(level: float) -> float:
    """Half-width of a two-sided normal interval in standard deviations: 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def t_quantile(level: float, freedom: float) -> float:
    """Two-sided Student quantile; G. W. Hill, Algorithm 396, CACM 13(10), 1970 (5 digits)."""
    p = 1 - level
    if freedom < 1:
        raise ValueError(f"degrees of freedom must be at least 1, not {freedom}")
    if freedom == 1:
        return 1 / math.tan(p * math.pi / 2)
    if freedom == 2:
        return math.sqrt(2 / (p * (2 - p)) - 2)
    a = 1 / (freedom - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    y = (d * p) ** (2 / freedom)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(p / 2)
        y = x**2
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y**2)
    else:
        y = (
            (1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3))
            + 0.5 / (freedom + 4)
        ) * y - 1
        y = y * (freedom + 1) / (freedom + 2) + 1 / ((d * p) ** (2 / freedom))
    return math.sqrt(freedom * y)


def small_sample_factor(level: float, n: float) -> float:
    """How much wider than a plain percentile bootstrap an interval from n values must be.

    Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, section 4: the bootstrap
    divides by n instead of n - 1 and takes normal quantiles where t quantiles belong.
    """
    if n <= 1:
        return 1.0
    freedom = max(1.0, n - 1)
    return math.sqrt(n / freedom) * t_quantile(level, freedom) / normal_quantile(level)
