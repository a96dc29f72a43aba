import re
import subprocess
from pathlib import Path

import pytest

from advisor import pareto
from advisor.report import summary, write_report
from advisor.report.context import ReportContext
from advisor.report.figures import NAMES
from advisor.report.figures.pareto import front
from advisor.report.writer import render, sections
from knowledge.types import Decision, Estimate, Failure, Metric, Slo
from tests.advisor.report import examples as ex
from tools.store import SessionRecord, Status, Store

GOLDEN = Path(__file__).parent / "golden.md"
PNG = b"\x89PNG\r\n\x1a\n"


def text_of(record: SessionRecord) -> str:
    """The Markdown alone: pictures take their time."""
    return render(ReportContext(record=record, samples=ex.samples, pictures=Path("pictures")))


def test_the_report_is_the_golden_one(tmp_path: Path) -> None:
    """After a wanted change: python -m tests.advisor.report.golden, and read the difference."""
    report = write_report(ex.RECORD, ex.samples, tmp_path)
    assert report.name == "2026-11-23-smollm2-135m-instruct-s-20261123-demo.md"
    assert report.read_text(encoding="utf-8") == GOLDEN.read_text(encoding="utf-8")


def test_every_picture_it_shows_is_there(tmp_path: Path) -> None:
    text = write_report(ex.RECORD, ex.samples, tmp_path).read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert sorted(Path(path).stem for path in shown) == list(NAMES)
    for path in shown:
        data = (tmp_path / path).read_bytes()
        assert data.startswith(PNG)
        assert data.rstrip().endswith(b"IEND\xaeB`\x82")
        assert int.from_bytes(data[16:20], "big") >= 900


def test_sections_stand_in_the_agreed_order() -> None:
    headings = re.findall(r"^## (.+)$", text_of(ex.RECORD), re.MULTILINE)
    assert headings == [
        "Исходные метрики (Baseline)",
        "Применённые оптимизации",
        "Результаты бенчмаркинга",
        "Код и конфигурация",
        "Quality Assessment",
        "Рекомендации для production",
        "Trade-offs",
        "Что попробовали и отбросили",
        "Прогноз и измерение",
        "Окружение и воспроизведение",
    ]
    assert len({section.ORDER for section in sections()}) == len(sections())


def test_every_trial_is_named_and_no_path_of_the_machine_is() -> None:
    text = text_of(ex.RECORD)
    assert all(trial.trial_id in text for trial in ex.TRIALS)
    assert "/home/user" not in text


def test_a_simulated_session_says_so_at_the_top() -> None:
    record = ex.RECORD.replace(options={"simulated": True})
    assert "симулятор" in text_of(record).split("\n")[2]
    assert "симулятор" not in text_of(ex.RECORD)
    assert summary(record).simulated


def test_what_the_store_gives_back_reads_the_same(tmp_path: Path) -> None:
    with Store.open(tmp_path / "advisor.duckdb", "тест") as store:
        store.create_session(ex.SESSION, ex.TASK, dict(ex.RECORD.options))
        assert ex.RECORD.profile
        assert ex.RECORD.production
        store.put_profile(ex.SESSION, ex.RECORD.profile)
        for ordinal, hypothesis in ex.HYPOTHESES:
            store.put_hypothesis(ex.SESSION, ordinal, hypothesis)
        for trial in ex.TRIALS:
            store.put_trial(ex.SESSION, trial, ex.samples(trial.trial_id))
        for verdict in ex.VERDICTS:
            store.put_verdict(ex.SESSION, verdict)
        store.put_production(ex.SESSION, ex.RECORD.production)
        store.append(ex.SESSION, "baseline", {"launch_cv": 0.015})
        record = store.record(ex.SESSION).replace(row=ex.RECORD.row)
        text = write_report(record, store.samples, tmp_path).read_text(encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_a_gain_whose_interval_holds_one_is_explained() -> None:
    assert ex.RECORD.production
    weak = ex.RECORD.production.replace(speedup=Estimate(value=1.02, low=0.98, high=1.06, n=4))
    text = text_of(ex.RECORD.replace(production=weak))
    assert "### Чем ограничен выигрыш" in text
    assert "выигрыш не доказан" in text
    assert "25,1 мс" in text.split("### Чем ограничен выигрыш")[1].split("\n\n")[1]
    assert "### Чем ограничен выигрыш" not in text_of(ex.RECORD)


def test_disagreeing_measurements_are_admitted() -> None:
    assert ex.RECORD.production
    test = ex.RECORD.production.replace(agrees_with_screening=False)
    assert "Замеры расходятся" in text_of(ex.RECORD.replace(production=test))


def test_a_default_that_nothing_beat_is_handed_in() -> None:
    default = ex.TRIALS[8].trial_id
    assert ex.RECORD.production
    test = ex.RECORD.production.replace(
        winner_trial_id=default,
        handed_in="default",
        screening_trial_id=ex.TRIALS[1].trial_id,
        speedup=Estimate(value=1, low=1, high=1, n=4),
        reason="Ни одна гипотеза не быстрее.",
        slos_met=False,
    )
    dropped = tuple(v.replace(decision=Decision.DROPPED) for v in ex.VERDICTS)
    record = ex.RECORD.replace(production=test, verdicts=dropped)
    text = text_of(record)
    assert "Сдана конфигурация vLLM по умолчанию" in text
    assert "Ни одно изменение не дало доказанного выигрыша" in text
    assert "SLO не выполнены" in text
    assert summary(record).speedup_over_default is None
    assert summary(record).handed_in == "default"


def test_pictures_of_a_session_cut_off_are_drawn_as_far_as_they_go(tmp_path: Path) -> None:
    record = ex.RECORD.replace(trials=ex.TRIALS[:2], verdicts=(), production=None)
    text = write_report(record, ex.samples, tmp_path).read_text(encoding="utf-8")
    drawn = sorted(path.stem for path in tmp_path.glob("*/*.png"))
    assert drawn == ["pareto", "steps"]
    assert [name for name in NAMES if f"/{name}.png" in text] == drawn


def test_a_broken_promise_is_named_with_what_was_measured() -> None:
    assert ex.RECORD.production
    task = ex.TASK.replace(slos=(Slo(metric=Metric.TPOT_P95_MS, limit=20),))
    test = ex.RECORD.production.replace(slos_met=False)
    text = text_of(ex.RECORD.replace(task=task, production=test)).replace("\u00a0", " ")
    assert "**SLO не выполнены: TPOT p95 ≤ 20 мс.**" in text
    assert f"Ближе всего к ним `{ex.TRIALS[9].trial_id}`: TPOT p95 35,2 мс." in text


def test_no_gain_is_claimed_where_none_was_measured() -> None:
    assert ex.RECORD.production
    failed = ex.TRIALS[9].replace(
        measurement=None, failure=Failure(cause="crash", message="движок упал")
    )
    test = ex.RECORD.production.replace(
        speedup=Estimate(value=1, low=1, high=1, n=0),
        handed_in="default",
        reason="победитель не запустился с нуля: движок упал",
        agrees_with_screening=False,
    )
    record = ex.RECORD.replace(trials=(*ex.TRIALS[:9], failed), production=test)
    text = text_of(record)
    assert "Победитель не запустился с нуля: движок упал." in text
    assert "### Повторяемость" not in text
    assert "×1,00 [1,00" not in text.replace("\u00a0", " ")
    assert summary(record).speedup_over_default is None


@pytest.mark.parametrize("finished", range(len(ex.TRIALS) + 1))
def test_a_session_cut_off_anywhere_still_has_a_report(finished: int) -> None:
    record = ex.RECORD.replace(
        row=ex.RECORD.row.replace(status=Status.CANCELLED),
        profile=None,
        trials=ex.TRIALS[:finished],
        verdicts=tuple(v for v in ex.VERDICTS if int(v.trial_id[1:3]) < finished),
        production=None,
        events=(),
    )
    text = text_of(record)
    assert "Сессия остановлена до production-проверки" in text
    assert "None" not in text
    assert all(trial.trial_id in text for trial in record.trials)
    assert summary(record).handed_in is None


def test_the_summary_holds_the_figures_of_the_report() -> None:
    found = summary(ex.RECORD)
    assert [c.role for c in found.configurations] == ["naive", "default", "winner"]
    assert found.speedup_over_default == Estimate(value=2.107, low=2.031, high=2.186, n=4)
    assert found.speedup_over_naive is not None
    assert found.speedup_over_naive.low > 8
    assert found.decisions == {"kept": 2, "dropped": 2, "inconclusive": 1, "crashed": 1}
    assert (found.predictions_hit, found.predictions_judged) == (4, 5)
    assert [s.met for s in found.slos] == [True]
    rate = found.configurations[2].metrics[Metric.OUTPUT_TOKENS_PER_S]
    assert rate.value == 246.9


def test_the_front_keeps_only_what_nothing_beats() -> None:
    def point(rate: float, latency: float) -> tuple[object, Estimate, Estimate]:
        return (None, ex.near(rate, 0.01), ex.near(latency, 0.01))

    points = [point(10, 5), point(20, 7), point(15, 9), point(30, 8), point(20, 6)]
    kept = [(round(p[1].value), round(p[2].value)) for p in front(points)]  # type: ignore[arg-type]
    assert kept == [(10, 5), (20, 6), (30, 8)]


def test_only_the_cards_that_a_configuration_takes_are_paid_for() -> None:
    hardware = ex.TASK.hardware
    device = hardware.device.replace(price_per_hour_usd=2.0, price_source="прайс-лист")
    for count, said in ((1, "машина выдаёт"), (4, "реплика (GPU: 1 из 4) выдаёт")):
        task = ex.TASK.replace(hardware=hardware.replace(device=device, device_count=count))
        record = ex.RECORD.replace(task=task)
        text = text_of(record)
        assert said in text
        assert "при 2,00\u00a0$ за час" in text
        first, *_ = pareto.points(record)
        rate = first.values[pareto.THROUGHPUT]
        assert first.values[pareto.COST] == pytest.approx(2.0 / (rate * 3600 / 1e6))


def test_the_command_starts_the_session_where_it_ran() -> None:
    record = ex.RECORD.replace(options=ex.RECORD.options | {"executor": "ray", "parallel": 2})
    text = text_of(record)
    assert "--executor ray --parallel 2\n```" in text
    assert "| Исполнитель | ray; гипотез сразу: 2, каждая на своём узле |" in text
    assert "Исполнитель" not in text_of(ex.RECORD)


def test_a_server_over_several_machines_starts_on_a_cluster_and_is_not_exported() -> None:
    assert "advisor export" in text_of(ex.RECORD)
    winner = ex.TRIALS[-1]
    flags = {"distributed-executor-backend": "ray", "pipeline-parallel-size": 99}
    over = winner.spec.candidate.replace(
        config=winner.spec.candidate.config.replace(engine="vllm", flags=flags)
    )
    moved = winner.replace(spec=winner.spec.replace(candidate=over))
    test = ex.RECORD.production
    assert test
    text = text_of(
        ex.RECORD.replace(
            trials=(*ex.TRIALS[:-1], moved),
            production=test.replace(winner_trial_id=moved.trial_id),
        )
    )
    assert "advisor export" not in text
    script = text.split("```bash\n")[1].split("```")[0]
    assert "export RAY_ADDRESS=" in script
    subprocess.run(["/bin/bash", "-n", "-c", script], check=True)


def test_a_round_ended_early_is_told_with_the_method() -> None:
    assert "кончался раньше" not in text_of(ex.RECORD)
    first = next(t for t in ex.RECORD.trials if t.spec.purpose == "hypothesis" and t.measurement)
    assert first.measurement
    early = first.replace(measurement=first.measurement.replace(ended_early_s=8.0))
    trials = tuple(early if t is first else t for t in ex.RECORD.trials)
    assert "кончался раньше" in text_of(ex.RECORD.replace(trials=trials))
