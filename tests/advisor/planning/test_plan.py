"""Plans: what does not fit is said by how much, the best keeps the SLOs, the command runs it."""

from datetime import date

import pytest

from advisor.planning import PlanRequest, Promise, make_plan
from advisor.planning.candidates import layouts
from knowledge.devices import require_gpu
from knowledge.errors import BadInput
from knowledge.gpu_prices import Price
from knowledge.known_models import require_architecture
from knowledge.prediction import Load
from knowledge.provenance import Provenance
from knowledge.quantities import parse_slo
from knowledge.types import Objective

TODAY = date(2026, 11, 23)


def request(model: str = "qwen2.5-72b", gpu: str = "h100", **changes: object) -> PlanRequest:
    known = require_architecture(model)
    asked: dict[str, object] = {
        "model": known.title,
        "path": known.hub,
        "facts": known.facts,
        "gpus": (require_gpu(gpu),),
        "load": Load(input_tokens=1000, output_tokens=300, concurrency=16),
    }
    return PlanRequest.model_validate(asked | changes)


def price(gpu: str, usd: float, day: date = TODAY) -> Price:
    source = Provenance(title="договор", date=day, checked=True)
    return Price(
        gpu=gpu, provider="наш", on_demand_usd_per_h=usd, provenance=source, from_user=True
    )


def test_72b_in_16_bits_needs_more_than_one_h100() -> None:
    found = make_plan(request(dtypes=("bfloat16",)), TODAY)
    assert [name.split(" ", 1)[0] for name, _ in found.not_fitting] == ["1"]
    assert found.not_fitting[0][1] > 60 * 2**30
    assert all(option.devices >= 2 for option in found.options)
    assert found.best is not None
    assert f"--tensor-parallel-size {found.best.query.layout.tp}" in " ".join(found.command)


def test_nothing_fits() -> None:
    found = make_plan(request("deepseek-v3", "rtx-4090"), TODAY)
    assert found.best is None
    assert not found.feasible
    assert len(found.not_fitting) == 4


def test_an_slo_is_kept_by_what_is_chosen_or_said_to_fail() -> None:
    slo = parse_slo("tpot_p50=25ms")
    kept = make_plan(request(slos=(slo,)), TODAY)
    assert kept.feasible
    assert kept.best is not None
    assert kept.best.prediction.tpot_ms.value <= 25
    impossible = make_plan(request(slos=(parse_slo("tpot_p50=0.5ms"),)), TODAY)
    assert not impossible.feasible
    assert impossible.best is not None
    assert impossible.best.promises[0][1] is Promise.FAILS


def test_with_an_slo_the_cheapest_that_keeps_it_is_best() -> None:
    found = make_plan(request(slos=(parse_slo("tpot_p50=60ms"),)), TODAY)
    good = [option.cost.output_usd.value for option in found.options if option.good and option.cost]
    assert found.best is not None
    assert found.best.cost is not None
    assert found.best.cost.output_usd.value == min(good)


def test_a_users_price_comes_first_and_an_old_one_is_marked() -> None:
    mine = make_plan(request(prices=(price("h100-sxm", 1.0),)), TODAY)
    assert mine.best is not None
    assert mine.best.cost is not None
    assert mine.best.cost.usd_per_hour == mine.best.devices
    assert not mine.best.price_stale
    old = make_plan(request(prices=(price("h100-sxm", 1.0, date(2026, 8, 1)),)), TODAY)
    assert old.best is not None
    assert old.best.price_stale


def test_the_objective_decides_between_options() -> None:
    quick = make_plan(request(objective=Objective.TPOT), TODAY).best
    cheap = make_plan(request(objective=Objective.COST), TODAY).best
    assert quick is not None
    assert cheap is not None
    assert quick.prediction.tpot_ms.value < cheap.prediction.tpot_ms.value
    assert quick.cost is not None
    assert cheap.cost is not None
    assert cheap.cost.output_usd.value < quick.cost.output_usd.value


def test_ideas_are_ranked_and_apply_to_this_card() -> None:
    ideas = make_plan(request("qwen2.5-7b"), TODAY).ideas
    assert ideas
    assert all("cpu" not in idea.technique for idea in ideas)
    assert len({idea.technique for idea in ideas}) == len(ideas)


def test_a_format_that_needs_its_own_checkpoint_says_so() -> None:
    found = make_plan(request(dtypes=("int4",)), TODAY)
    assert found.checkpoint_needed == "W4A16"
    assert "Qwen2.5-72B-Instruct-W4A16" in " ".join(found.command)


def test_a_format_the_card_does_not_have() -> None:
    with pytest.raises(BadInput, match="compute capability"):
        make_plan(request("qwen2.5-7b", "v100-sxm-32gb", dtypes=("fp8",)), TODAY)


@pytest.mark.parametrize("model", ["qwen2.5-7b", "mixtral-8x7b", "deepseek-v3"])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 16])
def test_layouts_use_all_cards_and_divide_the_heads(model: str, count: int) -> None:
    facts, gpu = require_architecture(model).facts, require_gpu("h100")
    for layout in layouts(facts, gpu, count):
        assert layout.devices == count
        assert facts.heads % layout.tp == 0
        assert layout.ep == 1 or facts.experts % layout.ep == 0
