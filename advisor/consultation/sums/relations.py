"""What follows from what: prices, speeds, loads and times, chained until nothing new follows."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from advisor.consultation.calculators.money import HOURS_PER_MONTH
from advisor.consultation.sums.said import Values

DAYS_PER_MONTH = HOURS_PER_MONTH / 24


@dataclass(frozen=True)
class Relation:
    """`target` from `needs`; what is missing of `usual` has its usual value."""

    target: str
    needs: tuple[str, ...]
    reckon: Callable[[Mapping[str, float]], float]
    how: str
    """The formula as it is shown, with «{name}» for each value."""
    usual: Mapping[str, float] = field(default_factory=dict)
    given_up_for: tuple[str, ...] = ()
    """Not used where one of these was said: another relation then says more."""


@dataclass
class Found:
    """Everything known, and by which relation what was not said."""

    values: Values
    by: dict[str, Relation]
    assumed: dict[str, float]

    def path(self, target: str) -> list[str]:
        """The derived quantities that a target stands on, itself the last."""
        if target not in self.by:
            return []
        relation, names = self.by[target], []
        for need in (*relation.needs, *relation.usual):
            names += [name for name in self.path(need) if name not in names]
        return [*names, target]


def follow(said: Values) -> Found:
    """Forward chaining; the first relation of a target that can be reckoned stands."""
    found = Found(dict(said), {}, {})
    moved = True
    while moved:
        moved = False
        for relation in RELATIONS:
            if relation.target in found.values or set(relation.given_up_for) & set(found.values):
                continue
            if not all(need in found.values for need in relation.needs):
                continue
            usual = {k: v for k, v in relation.usual.items() if k not in found.values}
            try:
                value = relation.reckon({**usual, **found.values})
            except ZeroDivisionError:  # a speed or a price of zero: nothing follows from it
                continue
            found.values[relation.target] = value
            found.by[relation.target] = relation
            found.assumed |= usual
            moved = True
    return found


def _lost(v: Mapping[str, float]) -> float:
    """Share of the paid time that restarts take: one of them after every stretch of work."""
    return v["restart_h"] / (v["interrupted_h"] + v["restart_h"])


def _phases_h(v: Mapping[str, float]) -> float:
    given = v["documents"] * v["tokens_in"] / v["prefill_tps"]
    return (given + v["documents"] * v["tokens_out"] / v["decode_tps"]) / 3600


def _in_row_s(v: Mapping[str, float]) -> float:
    return v["ttft_s"] + v["tpot_s"] * (v["tokens_out"] - 1)


R = Relation
RELATIONS: tuple[Relation, ...] = (
    # Load
    R("tokens_day", ("requests_day", "tokens_out"),
      lambda v: v["requests_day"] * v["tokens_out"],
      "{requests_day} запросов в сутки × {tokens_out} токенов ответа = {tokens_day}"),
    R("requests_day", ("people", "asks_day"), lambda v: v["people"] * v["asks_day"],
      "{people} × {asks_day} в день = {requests_day} запросов в день"),
    R("tps_mean", ("tokens_day",), lambda v: v["tokens_day"] / 86400,
      "{tokens_day} / 86 400 с = {tps_mean}"),
    R("tps_peak", ("tps_mean", "peak_factor"), lambda v: v["tps_mean"] * v["peak_factor"],
      "{tps_mean} × {peak_factor} = {tps_peak}"),
    R("tokens_total", ("documents", "tokens_out"), lambda v: v["documents"] * v["tokens_out"],
      "{documents} × {tokens_out} токенов ответа = {tokens_total}"),
    R("tps_wanted", ("tokens_total", "deadline_h"),
      lambda v: v["tokens_total"] / v["deadline_h"] / 3600,
      "{tokens_total} / ({deadline_h} × 3600) = {tps_wanted}"),
    R("tps_wanted", ("rps_wanted", "tokens_out"),
      lambda v: v["rps_wanted"] * v["tokens_out"],
      "{rps_wanted} запр./с × {tokens_out} токенов = {tps_wanted}"),
    R("tps_wanted", ("rps", "tokens_out", "tps_replica"),
      lambda v: v["rps"] * v["tokens_out"],
      "{rps} запр./с × {tokens_out} токенов = {tps_wanted}"),
    R("tps_wanted", ("tps_peak",), lambda v: v["tps_peak"], "пик: {tps_wanted}"),
    # How many
    R("replicas_needed", ("tps_wanted", "tps_replica"),
      lambda v: math.ceil(v["tps_wanted"] / (v["tps_replica"] * v["headroom"]) - 1e-9)
      + v["spare"],
      "{tps_wanted} / ({tps_replica} × {headroom}), запасных {spare} → {replicas_needed}",
      {"headroom": 1.0, "spare": 0.0}),
    R("cards_needed", ("replicas_needed", "cards_replica"),
      lambda v: v["replicas_needed"] * v["cards_replica"],
      "{replicas_needed} × {cards_replica} карт на реплику = {cards_needed}"),
    R("cards_needed", ("tps_wanted", "tps_card"),
      lambda v: math.ceil(v["tps_wanted"] / (v["tps_card"] * v["headroom"]) - 1e-9)
      + v["spare"],
      "{tps_wanted} / ({tps_card} с карты × {headroom}), запасных {spare} → {cards_needed}",
      {"headroom": 1.0, "spare": 0.0}),
    R("cards", ("cards_needed",), lambda v: v["cards_needed"], ""),
    # Price of an hour and speed of the whole
    R("price_h", ("price_card_h",), lambda v: v["price_card_h"] * v["cards"],
      "{cards} × {price_card_h} в час = {price_h} в час", {"cards": 1.0}),
    R("price_h", ("price_day",), lambda v: v["price_day"] / 24,
      "{price_day} в сутки / 24 ч = {price_h} в час"),
    R("tps_total", ("tps_card",), lambda v: v["tps_card"] * v["cards"],
      "{cards} × {tps_card} = {tps_total}", {"cards": 1.0}),
    R("tps_total", ("tps_replica",), lambda v: v["tps_replica"] * v["replicas"],
      "{replicas} × {tps_replica} = {tps_total}", {"replicas": 1.0}),
    R("tps_total", ("slots", "tpot_s"), lambda v: v["slots"] / v["tpot_s"],
      "{slots} потоков / {tpot_s} = {tps_total}"),
    # Price of tokens
    R("cost_million", ("price_h", "tps_total"),
      lambda v: v["price_h"] / (v["tps_total"] * v["utilization"] * 3600) * 1e6,
      "{price_h} / ({tps_total} × {utilization} × 3600 с) × 10⁶ = {cost_million} за 1M",
      {"utilization": 1.0}),
    R("cost_million_fx", ("cost_million", "fx"), lambda v: v["cost_million"] * v["fx"],
      "{cost_million} × {fx} = {cost_million_fx}"),
    R("cost_request", ("api_in", "api_out", "tokens_in", "tokens_out"),
      lambda v: (v["tokens_in"] * v["api_in"] + v["tokens_out"] * v["api_out"]) / 1e6,
      "({tokens_in} × {api_in} + {tokens_out} × {api_out}) / 10⁶ = {cost_request}"),
    R("saved_by_speed", ("price_month", "speedup"),
      lambda v: v["price_month"] * (1 - 1 / v["speedup"]),
      "{price_month} × (1 − 1 / {speedup}) = {saved_by_speed} в месяц"),
    R("saved_share", ("speedup",), lambda v: 1 - 1 / v["speedup"],
      "1 − 1 / {speedup} = {saved_share}"),
    # Bills
    R("hours_month", ("hours_day", "days_month"), lambda v: v["hours_day"] * v["days_month"],
      "{hours_day} в день × {days_month} дней = {hours_month}"),
    R("hours_month", ("days_month",), lambda v: v["days_month"] * 24,
      "{days_month} дней × 24 ч = {hours_month}"),
    R("hours_month", ("hours_day",), lambda v: v["hours_day"] * DAYS_PER_MONTH,
      "{hours_day} в день × 30,4 дня = {hours_month}"),
    R("bill_day", ("price_h",), lambda v: v["price_h"] * v["hours_day"],
      "{price_h} × {hours_day} = {bill_day} в день", {"hours_day": 24.0}),
    R("bill_month", ("price_h",), lambda v: v["price_h"] * v["hours_month"],
      "{price_h} × {hours_month} = {bill_month} в месяц", {"hours_month": HOURS_PER_MONTH}),
    R("bill_year", ("bill_month",), lambda v: v["bill_month"] * 12,
      "{bill_month} × 12 = {bill_year} в год"),
    R("bill_full", ("price_h", "hours_day"), lambda v: v["price_h"] * HOURS_PER_MONTH,
      "{price_h} × 730 ч = {bill_full} в месяц круглосуточно"),
    R("saving", ("bill_full", "bill_month"), lambda v: v["bill_full"] - v["bill_month"],
      "{bill_full} − {bill_month} = {saving}"),
    R("saving_share", ("bill_full", "saving"), lambda v: v["saving"] / v["bill_full"],
      "{saving} / {bill_full} = {saving_share}"),
    # Against an API
    R("api_day", ("api_in", "api_out", "requests_day", "tokens_in", "tokens_out"),
      lambda v: v["requests_day"]
      * (v["tokens_in"] * v["api_in"] + v["tokens_out"] * v["api_out"]) / 1e6,
      "{requests_day} × ({tokens_in} × {api_in} + {tokens_out} × {api_out}) / 10⁶ = {api_day} в"
      " день"),
    R("api_day", ("api_price", "requests_day", "tokens_in", "tokens_out"),
      lambda v: v["requests_day"] * (v["tokens_in"] + v["tokens_out"]) * v["api_price"] / 1e6,
      "{requests_day} × ({tokens_in} + {tokens_out}) × {api_price} / 10⁶ = {api_day} в день"),
    R("api_day", ("api_price", "tokens_day"), lambda v: v["tokens_day"] * v["api_price"] / 1e6,
      "{tokens_day} × {api_price} за 1M = {api_day} в день"),
    R("api_month", ("api_day", "days_month"), lambda v: v["api_day"] * v["days_month"],
      "{api_day} × {days_month} дней = {api_month} в месяц"),
    R("api_month", ("api_day",), lambda v: v["api_day"] * 30,
      "{api_day} × 30 дней = {api_month} в месяц"),
    R("own_month", ("price_month",), lambda v: v["price_month"], ""),
    R("own_month", ("bill_month", "opex_month"), lambda v: v["bill_month"] + v["opex_month"],
      "{bill_month} + {opex_month} = {own_month} в месяц"),
    R("own_month", ("bill_month",), lambda v: v["bill_month"], ""),
    R("bill_month_fx", ("bill_month", "fx"), lambda v: v["bill_month"] * v["fx"],
      "{bill_month} × {fx} = {bill_month_fx}"),
    R("even_tokens_day", ("price_month", "api_price"),
      lambda v: v["price_month"] / 30 / v["api_price"] * 1e6,
      "{price_month} / 30 дней / {api_price} за 1M = {even_tokens_day} в сутки"),
    R("even_tokens_day", ("bill_day", "api_price"),
      lambda v: v["bill_day"] / v["api_price"] * 1e6,
      "{bill_day} / {api_price} за 1M = {even_tokens_day} в сутки"),
    R("even_tokens_month", ("bill_month", "api_price"),
      lambda v: v["bill_month"] / v["api_price"] * 1e6,
      "{bill_month} / {api_price} за 1M = {even_tokens_month} в месяц"),
    R("even_tps", ("even_tokens_day",), lambda v: v["even_tokens_day"] / 86400,
      "{even_tokens_day} / 86 400 с = {even_tps}"),
    # A purchase against rent
    R("power_h", ("watts", "kwh"), lambda v: v["watts"] / 1000 * v["kwh"],
      "{watts} / 1000 × {kwh} за кВт·ч = {power_h} в час"),
    R("saved_day", ("price_h", "power_h"),
      lambda v: (v["price_h"] - v["power_h"]) * v["hours_day"],
      "({price_h} − {power_h}) × {hours_day} = {saved_day} в день", {"hours_day": 24.0}),
    R("payback_days", ("purchase", "saved_day"), lambda v: v["purchase"] / v["saved_day"],
      "{purchase} / {saved_day} = {payback_days}"),
    R("payback_months", ("payback_days",), lambda v: v["payback_days"] / DAYS_PER_MONTH,
      "{payback_days} / 30,4 = {payback_months}"),
    R("saved_month", ("bill_month", "opex_month"), lambda v: v["bill_month"] - v["opex_month"],
      "{bill_month} − {opex_month} = {saved_month} в месяц"),
    R("payback_months", ("purchase", "saved_month"), lambda v: v["purchase"] / v["saved_month"],
      "{purchase} / {saved_month} = {payback_months}"),
    R("payback_months", ("purchase", "hours_day", "bill_month"),
      lambda v: v["purchase"] / v["bill_month"],
      "{purchase} / {bill_month} = {payback_months}"),
    # Jobs
    R("job_h", ("documents", "tokens_in", "tokens_out", "prefill_tps", "decode_tps"), _phases_h,
      "({documents} × {tokens_in} / {prefill_tps} + {documents} × {tokens_out} / {decode_tps}) /"
      " 3600 = {job_h}"),
    R("job_h", ("documents", "tokens_in", "prefill_tps"),
      lambda v: v["documents"] * v["tokens_in"] / v["prefill_tps"] / 3600,
      "{documents} × {tokens_in} токенов входа / {prefill_tps} / 3600 = {job_h}",
      given_up_for=("decode_tps",)),
    R("tokens_in_total", ("documents", "tokens_in", "prefill_tps"),
      lambda v: v["documents"] * v["tokens_in"], "{documents} × {tokens_in} = {tokens_in_total}"),
    R("job_h", ("tokens_total", "tps_total"),
      lambda v: v["tokens_total"] / v["tps_total"] / 3600,
      "{tokens_total} / {tps_total} / 3600 = {job_h}"),
    R("job_cost", ("job_h", "price_h"), lambda v: v["job_h"] * v["price_h"],
      "{job_h} × {price_h} = {job_cost}"),
    # Times of one request, and how many are in flight
    R("ttft_s", ("tokens_in", "prefill_tps"), lambda v: v["tokens_in"] / v["prefill_tps"],
      "{tokens_in} токенов входа / {prefill_tps} = {ttft_s}"),
    R("e2e_s", ("ttft_s", "tpot_s", "tokens_out"), _in_row_s,
      "TTFT + TPOT × (токенов − 1) = {ttft_s} + {tpot_s} × ({tokens_out} − 1) = {e2e_s}"),
    R("tpot_s", ("e2e_s", "ttft_s", "tokens_out"),
      lambda v: (v["e2e_s"] - v["ttft_s"]) / (v["tokens_out"] - 1),
      "({e2e_s} − {ttft_s}) / ({tokens_out} − 1) = {tpot_s}"),
    R("active", ("people", "active_share"), lambda v: v["people"] * v["active_share"],
      "{people} × {active_share} = {active} человек"),
    R("rps", ("active", "asks_min"), lambda v: v["active"] * v["asks_min"] / 60,
      "{active} × {asks_min} в минуту / 60 с = {rps} запр./с"),
    R("rps", ("active", "period_s"), lambda v: v["active"] / v["period_s"],
      "{active} / {period_s} = {rps} запр./с"),
    R("rps", ("people", "asks_h"), lambda v: v["people"] * v["asks_h"] / 3600,
      "{people} × {asks_h} в час / 3600 с = {rps} запр./с"),
    R("rps", ("people", "asks_min"), lambda v: v["people"] * v["asks_min"] / 60,
      "{people} × {asks_min} в минуту / 60 с = {rps} запр./с"),
    R("rps", ("people", "period_s"), lambda v: v["people"] / v["period_s"],
      "{people} / {period_s} = {rps} запр./с"),
    R("in_flight", ("rps", "e2e_s"), lambda v: v["rps"] * v["e2e_s"],
      "закон Литтла: {rps} запр./с × {e2e_s} = {in_flight}"),
    R("rps_most", ("slots", "e2e_s"), lambda v: v["slots"] / v["e2e_s"],
      "закон Литтла: {slots} / {e2e_s} = {rps_most} запр./с"),
    R("replicas_needed", ("rps_wanted", "rps_most"),
      lambda v: math.ceil(v["rps_wanted"] / v["rps_most"] - 1e-9),
      "{rps_wanted} / {rps_most} → {replicas_needed}"),
    # One stream reads all weights for each token
    R("stream_tps", ("bandwidth_gb_s", "weights_gb"),
      lambda v: v["bandwidth_gb_s"] / v["weights_gb"],
      "на каждый токен читаются все веса: {bandwidth_gb_s} ГБ/с / {weights_gb} ГБ = {stream_tps}"),
    # Spot
    R("spot_lost", ("interrupted_h", "restart_h"), _lost,
      "{restart_h} / ({interrupted_h} + {restart_h}) = {spot_lost} времени"),
    R("spot_real_h", ("spot_h", "spot_lost"), lambda v: v["spot_h"] / (1 - v["spot_lost"]),
      "{spot_h} / (1 − {spot_lost}) = {spot_real_h} за час работы"),
    R("spot_saving", ("spot_real_h", "on_demand_h"),
      lambda v: 1 - v["spot_real_h"] / v["on_demand_h"],
      "1 − {spot_real_h} / {on_demand_h} = {spot_saving}"),
)  # fmt: skip
