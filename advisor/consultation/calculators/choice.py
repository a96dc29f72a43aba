"""Which devices, how many and in which format: every sensible deployment, the cheapest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.consultation.calculators import formats
from advisor.consultation.calculators.capacity import Goals
from advisor.consultation.calculators.memory import Room, fewest, room
from advisor.consultation.setting import Setting
from knowledge.devices import CatalogDevice, catalog
from knowledge.gpu_prices import Price, typical_price
from knowledge.prediction import Prediction
from knowledge.prediction.model import predict_many

_SERVERS = (
    "l4",
    "a10",
    "a10g",
    "l40s",
    "a100-sxm-40gb",
    "a100-sxm-80gb",
    "h100-sxm",
    "h200",
    "b200",
    "rtx-4090",
    "rtx-5090",
    "rtx-3090",
    "rtx-a6000",
    "mi300x",
    "rtx-pro-6000",
)


_CONSUMER = ("rtx-3090", "rtx-4090", "rtx-5090")
"""Cheap by the hour, without NVLink, and barred from data centers by NVIDIA's licence."""


@dataclass(frozen=True)
class Option:
    """One deployment that holds the load."""

    setting: Setting
    room: Room
    prediction: Prediction
    price: Price | None
    meets: bool
    """TTFT and TPOT as asked, by the middle of the prediction."""

    @property
    def gpu(self) -> CatalogDevice:
        assert self.setting.gpu is not None
        return self.setting.gpu

    @property
    def per_hour(self) -> float | None:
        price = self.price.on_demand_usd_per_h if self.price else None
        return None if price is None else price * self.setting.count

    @property
    def per_million(self) -> float | None:
        """USD per 1M output tokens at the predicted speed."""
        speed = self.prediction.output_tokens_per_s.value
        return None if self.per_hour is None or not speed else self.per_hour / (speed * 3600) * 1e6


def options(
    setting: Setting,
    *,
    schemes: Sequence[str],
    ttft_ms: float | None = None,
    tpot_ms: float | None = None,
    e2e_ms: float | None = None,
    thrifty: bool = True,
    most_devices: int = 8,
) -> list[Option]:
    """Deployments that hold the concurrency; those that meet the SLOs first, then by price.

    Without `thrifty`, only cards for servers.
    """
    asked = [
        found
        for gpu in catalog("gpu")
        if gpu.stem in _SERVERS and (thrifty or gpu.stem not in _CONSUMER)
        for scheme in schemes
        for found in _holding(setting.change(gpu=gpu, weights=scheme), most_devices)
    ]
    seen = predict_many([tried.query for tried, _ in asked])
    best: dict[tuple[str, str], Option] = {}
    for (tried, memory), speed in zip(asked, seen, strict=True):
        assert tried.gpu is not None
        meets = Goals(ttft_ms, tpot_ms, e2e_ms).hold(speed, tried.output_tokens)
        option = Option(tried, memory, speed, typical_price(tried.gpu.stem), meets)
        key = (tried.gpu.stem, tried.weights)
        if key not in best or (meets and not best[key].meets):
            best[key] = option
    return sorted(best.values(), key=_order)


def _holding(setting: Setting, most_devices: int) -> list[tuple[Setting, Room]]:
    """The fewest devices that hold the load, and twice and four times as many."""
    assert setting.gpu is not None
    if formats.how(setting.weights, setting.gpu) != "native" and setting.weights != "int4":
        return []
    least = fewest(setting, setting.concurrency)
    if least is None:
        return []
    counts = [least[0] * more for more in (1, 2, 4) if least[0] * more <= most_devices]
    tried = [setting.change(count=count, tp=None, pp=None) for count in counts]
    return [(one, room(one)) for one in tried]


def _order(option: Option) -> tuple[bool, bool, float, int]:
    per_hour = option.per_hour
    return not option.meets, per_hour is None, per_hour or 0.0, option.setting.count
