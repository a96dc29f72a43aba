"""What a device costs by the hour: knowledge/prices/*.yaml, one provider each, and a user's file.

A user's own price (a contract, an own rack) comes first; every price has its date and source.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from knowledge.devices import require_gpu
from knowledge.errors import BadInput
from knowledge.files import first_problem, read_file, read_folder
from knowledge.provenance import STALE_DAYS, Provenance, age_days
from knowledge.types import Frozen

_FOLDER = Path(__file__).parent / "prices"
_SCHEMA = "Пишите так: {date: 2026-11-01, prices: {h100-sxm: {on_demand: 2.5, spot: 1.2}}}"


class Price(Frozen):
    """One device at one provider, in USD per hour and device."""

    gpu: str
    """The device's file name in knowledge/gpus."""
    provider: str
    on_demand_usd_per_h: float | None = Field(default=None, ge=0)
    spot_usd_per_h: float | None = Field(default=None, ge=0)
    """Interruptible; None where it is not offered or not known."""
    instance: str = ""
    """What is rented, and how many devices it has."""
    devices: int = Field(default=1, ge=1)
    """The fewest devices that can be rented so."""
    provenance: Provenance
    from_user: bool = False

    def age_days(self, today: date) -> int:
        return age_days(self.provenance.date, today)

    def is_stale(self, today: date) -> bool:
        """Older than 90 days: to be marked wherever it is used."""
        return self.age_days(today) > STALE_DAYS

    def describe(self, today: date) -> str:
        """The source with its date, and a mark when it is old or not checked."""
        old = f", устарела: {self.age_days(today)} дн." if self.is_stale(today) else ""
        return f"{self.provider}: {self.provenance.describe()}{old}"


def prices_for(gpu: str, *, user: Sequence[Price] = ()) -> tuple[Price, ...]:
    """Prices of a device, the user's first, then the cheapest on demand; none when unknown.

    `gpu` is any name of the device. Raises BadInput with the nearest names.
    """
    stem = require_gpu(gpu).stem
    own = [price for price in user if price.gpu == stem]
    known = [price for price in known_prices() if price.gpu == stem]
    return (*own, *sorted(known, key=_cheapest))


def typical_price(gpu: str, *, user: Sequence[Price] = ()) -> Price | None:
    """The price to reckon with: the user's, else the median provider on demand."""
    prices = prices_for(gpu, user=user)
    own = [price for price in prices if price.from_user]
    if own:
        return own[0]
    on_demand = [price for price in prices if price.on_demand_usd_per_h is not None]
    return on_demand[(len(on_demand) - 1) // 2] if on_demand else None


def known_prices() -> tuple[Price, ...]:
    """Prices of all providers. Raises BadInput for a broken file."""
    return _known()


def load_price_file(path: Path) -> tuple[Price, ...]:
    """A user's prices. Raises BadInput.

    date: 2026-11-01
    provider: наш договор          # optional
    prices:
      h100-sxm: 2.5                # on demand, USD per hour and device
      a100: {on_demand: 1.4, spot: 0.7}
    """
    try:
        fields = read_file(path)
    except OSError as error:
        raise BadInput(f"файл цен {path} не читается: {error.strerror}", _SCHEMA) from error
    return _read(path.name, fields, from_user=True)


@lru_cache(maxsize=1)
def _known() -> tuple[Price, ...]:
    files = read_folder(_FOLDER).items()
    return tuple(price for stem, fields in files for price in _read(f"{stem}.yaml", fields))


def _read(name: str, fields: dict[str, Any], *, from_user: bool = False) -> tuple[Price, ...]:
    rows = fields.get("prices")
    if not isinstance(rows, dict) or "date" not in fields:
        raise BadInput(f"{name}: нужны date и prices", _SCHEMA)
    provenance = {
        "title": fields.get("source", "цены пользователя" if from_user else name),
        "date": fields["date"],
        "url": fields.get("url", ""),
        "checked": fields.get("checked", from_user),
        "note": fields.get("note", ""),
    }
    provider = fields.get("provider", "ваши цены")
    return tuple(
        _price(name, str(gpu), row, provider, provenance, from_user) for gpu, row in rows.items()
    )


def _price(
    name: str, gpu: str, row: Any, provider: str, source: dict[str, Any], from_user: bool
) -> Price:
    values = row if isinstance(row, dict) else {"on_demand": row}
    unknown = set(values) - {"on_demand", "spot", "instance", "devices", "note"}
    try:
        if unknown:
            raise ValueError(f"лишние ключи: {', '.join(sorted(unknown))}")
        note = values.get("note") or source["note"]
        return Price(
            gpu=require_gpu(gpu).stem,
            provider=provider,
            on_demand_usd_per_h=values.get("on_demand"),
            spot_usd_per_h=values.get("spot"),
            instance=values.get("instance", ""),
            devices=values.get("devices", 1),
            provenance=Provenance.model_validate(source | {"note": note}),
            from_user=from_user,
        )
    except (ValidationError, ValueError) as error:
        raise BadInput(f"{name}: {gpu}: {first_problem(error)}", _SCHEMA) from error


def _cheapest(price: Price) -> float:
    known = price.on_demand_usd_per_h
    return known if known is not None else float("inf")
