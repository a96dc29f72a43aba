from datetime import date, timedelta

import pytest

from knowledge.devices import catalog
from knowledge.errors import BadInput
from knowledge.gpu_prices import known_prices, load_price_file, prices_for, typical_price

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize("price", known_prices(), ids=lambda p: f"{p.provider}-{p.gpu}")
def test_every_price_has_a_date_a_source_and_a_plausible_value(price):
    assert price.provenance.title
    assert date(2025, 1, 1) < price.provenance.date <= TODAY
    values = [v for v in (price.on_demand_usd_per_h, price.spot_usd_per_h) if v is not None]
    assert values
    assert all(0.05 < value < 20 for value in values)
    if len(values) == 2:
        assert price.spot_usd_per_h < price.on_demand_usd_per_h


def test_the_usual_gpus_have_prices():
    priced = {price.gpu for price in known_prices()}
    assert {"h100-sxm", "h200", "b200", "a100-sxm-80gb", "l40s", "l4", "rtx-4090", "t4"} <= priced
    assert priced <= {entry.stem for entry in catalog("gpu")}


def test_prices_come_cheapest_first():
    prices = [p.on_demand_usd_per_h for p in prices_for("h100") if p.on_demand_usd_per_h]
    assert prices == sorted(prices)
    assert prices[0] <= typical_price("h100").on_demand_usd_per_h <= prices[-1]


def test_a_gpu_without_a_price_has_none():
    assert prices_for("gb10") == ()
    assert typical_price("gb10") is None


def test_an_old_price_is_marked():
    price = prices_for("h100")[0]
    read = price.provenance.date
    assert not price.is_stale(read + timedelta(days=90))
    assert price.is_stale(read + timedelta(days=91))
    assert "устарела" in price.describe(read + timedelta(days=91))
    assert "устарела" not in price.describe(read)


def test_a_user_file_overrides(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(
        "date: 2026-11-20\nprovider: договор\nprices:\n"
        "  эйч100: 1.75\n  a100: {on_demand: 1.1, spot: 0.5}\n",
        encoding="utf-8",
    )
    own = load_price_file(path)
    first = prices_for("h100", user=own)[0]
    assert (first.on_demand_usd_per_h, first.provider, first.from_user) == (1.75, "договор", True)
    assert typical_price("h100", user=own) == first
    assert typical_price("a100-sxm-80gb", user=own).spot_usd_per_h == 0.5
    assert typical_price("l40s", user=own) == typical_price("l40s")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prices: {h100: 2}", "date"),
        ("date: 2026-11-20\nprices: [1]", "prices"),
        ("date: 2026-11-20\nprices: {h1000: 2}", "h1000"),
        ("date: 2026-11-20\nprices: {h100: -2}", "h100"),
        ("date: 2026-11-20\nprices: {h100: дёшево}", "h100"),
        ("date: 2026-11-20\nprices: {h100: {rub: 100}}", "rub"),
        ("date: вчера\nprices: {h100: 2}", "date"),
        ("date: [", "prices.yaml"),
    ],
)
def test_a_user_file_that_cannot_be_used_says_why(tmp_path, text, reason):
    path = tmp_path / "prices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_price_file(path)
    assert reason in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_missing_price_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.yaml"):
        load_price_file(tmp_path / "none.yaml")
