"""What tuning costs, and after how many tokens it has paid for itself."""

from knowledge.errors import BadInput
from knowledge.types import Frozen, Interval


class Payback(Frozen):
    """The tuning against what it saves at the same price of an hour."""

    tuning_usd: float
    saving_share: Interval
    """Of the bill for the same tokens: 1 - 1/speed-up."""
    hours: Interval | None
    """Paid hours of the untuned server after which it is earned back; None: maybe never."""
    million_output_tokens: Interval | None


def payback(
    tuning_hours: float,
    usd_per_hour: float,
    speedup: Interval,
    *,
    output_tokens_per_s: float,
) -> Payback:
    """`speedup` is of throughput at the same SLO; `output_tokens_per_s` of the untuned server.

    Tuned, the tokens of T hours take T / speed-up. Raises BadInput.
    """
    for name, value in (("часы настройки", tuning_hours), ("цена часа", usd_per_hour)):
        if value < 0:
            raise BadInput(f"{name}: {value} меньше нуля", "Нужно число от нуля")
    if speedup.low <= 0 or output_tokens_per_s <= 0:
        raise BadInput("ускорение и throughput должны быть больше нуля", "Например, 1.2..1.5")
    saving = Interval(low=1 - 1 / speedup.low, high=1 - 1 / speedup.high)
    tuning = tuning_hours * usd_per_hour
    if saving.low <= 0:
        return Payback(tuning_usd=tuning, saving_share=saving, hours=None,
                       million_output_tokens=None)  # fmt: skip
    hours = Interval(low=tuning_hours / saving.high, high=tuning_hours / saving.low)
    tokens = output_tokens_per_s * 3600 / 1e6
    return Payback(
        tuning_usd=tuning,
        saving_share=saving,
        hours=hours,
        million_output_tokens=Interval(low=hours.low * tokens, high=hours.high * tokens),
    )
