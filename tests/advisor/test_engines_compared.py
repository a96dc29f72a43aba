"""A session that may move to another engine: two simulated ones of different speed."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from advisor import runner
from advisor.policies import knowledge as policy
from knowledge.cards import Effect, Source, TechniqueCard, Variant
from knowledge.types import Decision, EngineConfig, Hardware, ModelSpec
from tests.advisor.simulated import task
from tools import engines
from tools.engines.base import FlagCatalog, LaunchPlan
from tools.engines.sim import Sim
from tools.envs import Environment
from tools.home import Home
from tools.store import SessionRecord, Store


class Other(Sim):
    """The simulated server under another name, so many times as slow."""

    name = "other"
    title = "Другой"

    def __init__(self, time_scale: float) -> None:
        self._scale = time_scale

    async def catalog(self, env: Environment | None, home: Home, progress: object) -> FlagCatalog:
        found = await super().catalog(env, home, print)
        return found.replace(engine=self.name)

    def launch_plan(
        self,
        env: Environment | None,
        config: EngineConfig,
        *,
        model: ModelSpec,
        model_path: Path,
        port: int,
        hardware: Hardware,
    ) -> LaunchPlan:
        plan = super().launch_plan(
            env, config, model=model, model_path=model_path, port=port, hardware=hardware
        )
        return LaunchPlan((*plan.argv, "--time-scale", str(self._scale)), plan.env)


def _card(name: str, variant: Variant, high: float) -> TechniqueCard:
    return TechniqueCard(
        name=name,
        title=f"Карточка {name}",
        kind="choice" if variant.swaps else "engine",
        text="Для проверки.",
        topics=("engine",),
        changes=(variant,),
        effects=(Effect(regime="any", metric="throughput", low=1.0, high=high),),
        quality_risk="low" if variant.swaps else "none",
        sources=(Source(title="проверка", date=date(2026, 11, 25)),),
    )


CARDS = (
    _card("tuned", Variant(engine="sim", label="8192", flags={"max-num-batched-tokens": 8192}), 3),
    _card("theirs", Variant(engine="other", label="64", flags={"max-num-batched-tokens": 64}), 1.5),
    _card("other", Variant(engine="other", label="вместо ${engine}", swaps=True), 1.1),
)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home.store, "test") as opened:
        yield opened


async def session(
    scale: float, model: Path, store: Store, home: Home, monkeypatch: pytest.MonkeyPatch
) -> tuple[SessionRecord, str]:
    real = engines.load
    monkeypatch.setattr(engines, "load", lambda n: Other(scale) if n == "other" else real(n))
    monkeypatch.setattr(policy, "load_cards", lambda: CARDS)
    asked = task(model, trials=2).replace(engines=("other",), policy="knowledge")
    options = runner.Options(naive=False, reports=home.data / "reports")
    record = await runner.start(asked, options, store, home, lambda _: None)
    (report,) = (home.data / "reports").glob("*.md")
    return record, report.read_text()


async def test_a_faster_engine_is_found_first_tuned_then_and_handed_in(
    tiny_model: Path, store: Store, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, report = await session(0.3, tiny_model, store, home, monkeypatch)
    (_, first), (_, second) = record.hypotheses
    # Though the other card promises more: what is tuned for one engine is nothing to the next.
    assert (first.technique, first.change.engine) == ("other", "other")
    assert first.candidate.config == EngineConfig(engine="other")
    assert record.verdicts[0].decision is Decision.KEPT
    assert record.verdicts[0].quality
    assert second.technique == "theirs"
    assert second.candidate.config.engine == "other"
    assert record.production
    assert record.production.handed_in == "winner"
    assert "## Сравнение движков" in report
    assert "Дальше настраивался **other" in report
    assert "движок other" in report


async def test_a_slower_engine_is_dropped_with_the_reason(
    tiny_model: Path, store: Store, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, report = await session(3.0, tiny_model, store, home, monkeypatch)
    (_, first), (_, second) = record.hypotheses
    assert first.change.engine == "other"
    assert record.verdicts[0].decision is Decision.DROPPED
    assert (second.technique, second.candidate.config.engine) == ("tuned", "sim")
    assert "Дальше настраивался **sim" in report
    assert "Выигрыша нет" in report
    assert "--engine auto" in report
