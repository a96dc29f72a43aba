"""Numbers of a question: their units, their roles, what follows from them, and what is asked."""

import pytest
import yaml

from advisor.consultation.answers._kubernetes import manifest
from advisor.consultation.sums.amounts import amounts
from advisor.consultation.sums.relations import RELATIONS, follow
from advisor.consultation.sums.said import read
from advisor.consultation.understanding.wishes import wishes
from tests.consultation import exam


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19.6$/ч", (19.6, "money/h")),
        ("$2/час", (2.0, "money/h")),
        ("за 310 р/час", (310.0, "money/h")),
        ("0.6$ за лям токенов", (0.6, "money/million")),
        ("0.15$ за 1М", (0.15, "money/million")),
        ("180 тыс ₽ в месяц", (180_000.0, "money/month")),
        ("210 т.р.", (210_000.0, "money")),
        ("7 р за квтч", (7.0, "money/kwh")),
        ("14000 tok/s", (14_000.0, "tok/s")),
        ("9000 выходных ток/с", (9_000.0, "tok/s")),
        ("500к запросов в день", (500_000.0, "req/day")),
        ("в день 200к запросов", (200_000.0, "req/day")),
        ("1 вопрос в минуту", (1.0, "req/min")),
        ("10 часов в день", (10.0, "h/day")),
        ("загрузка процентов 35", (35.0, "percent")),
        ("пик втрое выше среднего", (3.0, "factor")),
        ("460 ГБ/с", (460.0, "gb/s")),
        ("веса гигов 20", (20.0, "gb")),
        ("0,45 квт", (450.0, "watt")),
        ("4 карты", (4.0, "gpus")),
    ],
)
def test_a_number_has_its_unit(text: str, expected: tuple[float, str]) -> None:
    found = amounts(text)[0]
    assert (found.value, found.unit) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("нода 8xH100 обходится в 19.6$/ч за всю ноду", {"price_h": 19.6, "cards": 8}),
        ("2xH100 по 2.3$/ч за карту", {"price_card_h": 2.3, "cards": 2}),
        ("одна L40S отдаёт 850 tok/s", {"tps_card": 850}),
        ("две карты вместе льют 4200 ток/с", {"tps_total": 4200}),
        ("одна реплика выдаёт 2600 ток/с, надо вытянуть 10к ток/с",
         {"tps_replica": 2600, "tps_wanted": 10_000}),
        ("1500 токенов на вход и 300 на выход", {"tokens_in": 1500, "tokens_out": 300}),
        ("грузить не больше чем на 75%", {"headroom": 0.75}),
        ("средняя загрузка 35 %", {"utilization": 0.35}),
        ("API: вход 0.15$ за 1М, выход 0.6$ за 1М", {"api_in": 0.15, "api_out": 0.6}),
        ("купить за 28 млн ₽, колокейшн 350 тыс в месяц",
         {"purchase": 28e6, "opex_month": 350_000}),
        ("спот H100 по 1.1$ против 2.6$ on-demand", {"spot_h": 1.1, "on_demand_h": 2.6}),
    ],
)  # fmt: skip
def test_a_number_has_its_role(text: str, expected: dict[str, float]) -> None:
    said = read(text)
    assert {name: said.values.get(name) for name in expected} == expected
    assert not said.unclear


def test_two_numbers_of_one_role_are_unclear_and_nothing_is_reckoned() -> None:
    assert read("карта за 2$/ч, другая карта за 3$/ч").unclear


def test_money_of_two_currencies_is_unclear() -> None:
    assert read("H100 за 2$/ч, API 90 ₽ за 1 млн").unclear


def test_a_follow_up_takes_over_what_was_said_and_replaces_the_price() -> None:
    said = read("а если цену скинут до 1.7?", ("H100 за 2.4$/час выдаёт 1800 ток/с",))
    assert said.values["price_card_h"] == 1.7
    assert said.values["tps_total"] == 1800


def test_every_formula_names_only_what_it_uses_and_makes() -> None:
    for relation in RELATIONS:
        known = dict.fromkeys((*relation.needs, *relation.usual, relation.target), "1")
        relation.how.format(**known)


def test_quantities_are_chained_and_each_tells_its_path() -> None:
    found = follow({"requests_day": 864_000, "tokens_out": 100, "peak_factor": 3, "tps_card": 1500})
    assert found.values["tps_mean"] == 1000
    assert found.values["cards_needed"] == 2
    assert found.path("cards_needed") == [
        "tokens_day", "tps_mean", "tps_peak", "tps_wanted", "cards_needed",
    ]  # fmt: skip
    assert found.assumed == {"headroom": 1.0, "spare": 0.0}


def test_nothing_follows_from_a_division_by_zero() -> None:
    assert "cost_million" not in follow({"price_h": 1.0, "tps_total": 0.0}).values


async def test_a_claim_that_is_wrong_is_said_to_be() -> None:
    text = await exam.ask(
        {"q": "Посчитал: 4 H100 по 2$ в час круглосуточно = 2000$ в месяц. Верно?"}
    )
    assert text.startswith("**Нет, не сходится:**")
    right = await exam.ask({"q": "4 H100 по 2$ в час круглосуточно = 5840$ в месяц. Верно?"})
    assert right.startswith("**Да, сходится.**")


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("порт 9000", {"port": "9000"}),
        ("chunked prefill с бюджетом 4096 токенов",
         {"max-num-batched-tokens": "4096", "enable-chunked-prefill": True}),
        ("не больше 128 последовательностей", {"max-num-seqs": "128"}),
        ("92% памяти", {"gpu-memory-utilization": "0.92"}),
        ("префикс кеширование включить", {"enable-prefix-caching": True}),
        ("без prefix caching", {"no-enable-prefix-caching": True}),
        ("сколько памяти у модели", {}),
    ],
)  # fmt: skip
def test_flags_are_read_from_words(text: str, flags: dict[str, str | bool]) -> None:
    found = dict(wishes(text).flags)
    if "no-enable-prefix-caching" in flags:
        found.pop("enable-prefix-caching", None)
    assert found == flags


def test_adapters_and_a_draft_are_read_with_their_names() -> None:
    adapters = wishes("лоры: sql лежит в /adapters/sql, support в /adapters/support, ранг 32")
    assert adapters.flags["lora-modules"] == "sql=/adapters/sql support=/adapters/support"
    assert adapters.flags["max-lora-rank"] == "32"
    draft = wishes(
        "meta-llama/Llama-3.3-70B-Instruct с черновиком meta-llama/Llama-3.2-1B по 5 токенов"
    )
    assert draft.model == "meta-llama/Llama-3.3-70B-Instruct"
    assert '"model": "meta-llama/Llama-3.2-1B"' in str(draft.flags["speculative-config"])
    assert '"num_speculative_tokens": 5' in str(draft.flags["speculative-config"])


def test_a_manifest_listens_where_it_is_probed_and_parts_what_are_several_values() -> None:
    flags = ["org/Model-7B", "--lora-modules a=/x b=/y", """--speculative-config '{"k": 1}'"""]
    told = yaml.safe_load(manifest(flags, 2, "9000"))
    container = told["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == [
        *("--model", "org/Model-7B", "--lora-modules", "a=/x", "b=/y"),
        *("--speculative-config", '{"k": 1}', "--port", 9000),
    ]
    assert container["startupProbe"]["httpGet"]["port"] == 9000
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 2}
