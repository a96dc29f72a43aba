"""A service over a store that holds two finished sessions, and a browser to look at it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from knowledge.types import AnswerPair, HumanEvaluation, RequestSample, Telemetry, TrialResult
from tests.advisor.report import examples as ex
from tests.api.conftest import Live, serving
from tools.store import Status, Store

DONE, OTHER = "20261123-101500-ab12", "20261123-120000-cd34"
EVIL = "<script>alert(1)</script>"


def with_series(trial: TrialResult) -> TrialResult:
    """The example's trials with what the sampler would have seen every half second."""
    if trial.telemetry is None:
        return trial
    wave = [150 + 40 * ((n * 7 + trial.spec.ordinal * 3) % 11) / 10 for n in range(60)]
    series = {
        "cpu_percent": tuple((n / 2, value) for n, value in enumerate(wave)),
        "rss_bytes": tuple((n / 2, 3.3e9 + 4e6 * n) for n in range(60)),
    }
    return trial.replace(telemetry=Telemetry(**trial.telemetry.model_dump() | {"series": series}))


def samples(ordinal: int) -> list[RequestSample]:
    """Two rounds of requests, eight streams."""
    found = []
    for index in range(96):
        sent = (index // 8) % 6 * 2.4
        first = sent + 0.2 + 0.01 * ((index * 5 + ordinal) % 9)
        times = tuple(first + 0.03 * n for n in range(64))
        found.append(
            RequestSample(
                index=index, round=index // 48, stream=index % 8, intended_s=sent, sent_s=sent,
                first_token_s=first, last_token_s=times[-1], end_s=times[-1],
                asked_input_tokens=128, asked_output_tokens=64, input_tokens=128, output_tokens=64,
                chunk_times_s=times, chunk_tokens=(1,) * 64,
            )
        )  # fmt: skip
    return found


def fill(path: Path, reports: Path) -> None:
    """Two finished sessions; the second one's model has a hostile name."""
    from advisor.report import write_report

    with Store.open(path, "test") as store:
        for name, model in ((DONE, ex.MODEL.name), (OTHER, f"evil {EVIL}")):
            task = ex.TASK.replace(model=ex.MODEL.replace(name=model))
            store.create_session(name, task, {"model": "demo"})
            assert ex.RECORD.profile
            assert ex.RECORD.production
            store.put_profile(name, ex.RECORD.profile)
            for ordinal, hypothesis in ex.HYPOTHESES:
                store.put_hypothesis(name, ordinal, hypothesis)
            renamed = {}
            for trial in ex.TRIALS:
                spec = trial.spec.replace(session=name)
                moved = with_series(trial.replace(spec=spec))
                renamed[trial.trial_id] = moved.trial_id
                store.put_trial(name, moved, samples(spec.ordinal) if moved.measurement else ())
            for verdict in ex.VERDICTS:
                trials = {
                    key: renamed[getattr(verdict, key)]
                    for key in ("trial_id", "reference_trial_id")
                }
                store.put_verdict(name, verdict.replace(**trials))
            test = ex.RECORD.production
            trials = {
                key: renamed[getattr(test, key)]
                for key in ("default_trial_id", "winner_trial_id", "screening_trial_id")
            }
            store.put_production(name, test.replace(**trials))
            store.append(name, "search_ended", {"reason": "бюджет исчерпан"})
            record = store.record(name)
            report = write_report(record, store.samples, reports)
            store.append(name, "report", {"path": str(report)})
            store.set_status(name, Status.DONE)


def put_pairs(store: Store, session: str, count: int = 4) -> HumanEvaluation:
    """An evaluation whose answers tell which is which, so that a test can choose."""
    record = store.record(session)
    assert record.production
    made = HumanEvaluation(
        evaluation=f"e-{session}",
        baseline_trial_id=record.production.default_trial_id,
        candidate_trial_id=record.production.winner_trial_id,
        decoding="temperature 0, до 64 токенов",
        pairs=tuple(
            AnswerPair(
                pair=f"p{n}", prompt=f"Вопрос {n} {EVIL}", baseline=f"старый ответ {n}",
                candidate=f"новый ответ {n} {EVIL}" if n else f"старый ответ {n}",
            )
            for n in range(count)
        ),
    )  # fmt: skip
    store.put_evaluation(session, made)
    return made


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with both sessions and their reports, made once: pictures take their time."""
    home = tmp_path_factory.mktemp("filled") / "home"
    settings = Settings(home=home)
    settings.reports_dir.mkdir(parents=True)
    fill(settings.folders().store, settings.reports_dir)
    return home


@pytest.fixture
def shown(settings_of: Callable[..., Settings], models: Path, filled: Path) -> Iterator[Live]:
    settings = settings_of(drain_s=0, engines=("sim", "vllm", "transformers"))
    shutil.copytree(filled, settings.folders().data.parent)
    with Store.open(settings.folders().store, "test") as store:
        for session in (DONE, OTHER):
            (report,) = settings.reports_dir.glob(f"*{session}.md")
            store.append(session, "report", {"path": str(report)})
    with serving(settings, models) as running:
        yield running


@contextmanager
def log_in(live: Live, key: str | None = None) -> Iterator[httpx2.Client]:
    """A browser's session without the browser."""
    with httpx2.Client(base_url=live.url, timeout=60, headers={"Origin": live.url}) as client:
        answer = client.post("/login", data={"key": key or live.run_key, "next": "/"})
        assert answer.status_code == 303, answer.text
        yield client


def csrf(client: httpx2.Client, path: str = "/new") -> str:
    return client.get(path).text.split('name="csrf" value="')[1].split('"')[0]


def chromium_path() -> str | None:
    """The machine's own Chromium, or the one that playwright has installed (an empty text)."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        return "" if Path(started.chromium.executable_path).exists() else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Ends with its module: Playwright keeps a loop in this thread, where async tests need one."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium_path()
    if path is None:
        advice = "no Chromium: apt-get install chromium, or playwright install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(advice)
    with api.sync_playwright() as started:
        options = {"executable_path": path} if path else {}
        # Its own sandbox needs rights that root in a container lacks; only our pages are opened.
        opened = started.chromium.launch(args=["--no-sandbox"], **options)
        yield opened
        opened.close()
