"""`advisor monitor` over real sockets: a simulated engine, a webhook, a Slack."""

import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli import monitor as command
from knowledge.errors import BadInput
from tests.api.slack.server import BOT_TOKEN, slack_server
from tests.tools.monitor.served import Served, served_engine
from tools.home import Home
from tools.monitor.history import History, path_of


@pytest.fixture
def engine() -> Iterator[Served]:
    with served_engine() as one:
        yield one


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    monkeypatch.setenv("ADVISOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return Home.default({"ADVISOR_HOME": str(tmp_path / "home")})


def run(url: str, **more: Any) -> int:
    given: dict[str, Any] = {
        "model": None, "every": "1s", "canary_every": "1s", "duration": "3s", "session": None,
        "price": None, "false_alarms": 1.0, "slack": None, "webhook": None, "chat": False,
        "api_key_env": "OPENAI_API_KEY", "json_file": None,
    }  # fmt: skip
    return command.monitor(url, **(given | more))


def test_windows_are_measured_and_kept(
    engine: Served, environ: Home, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    assert run(engine.url, price=3.6, json_file=str(out)) == 0
    found = json.loads(out.read_text())
    assert found["engine"] == "vllm"
    assert found["windows"] >= 2
    assert "метрики vllm" in capfd.readouterr().err
    with History.open(path_of(environ, engine.url), "test") as history:
        windows = history.windows(10)
    assert len(windows) == found["windows"]
    last = windows[-1]
    assert last.canary_ok
    assert last.canary_ttft_ms
    assert last.ttft_mean_ms == pytest.approx(engine.ttft_ms)
    assert last.rss_bytes
    assert last.cost_per_request_usd
    assert run(engine.url, duration="1s") == 0
    assert "помню" in capfd.readouterr().err


def test_an_alert_reaches_the_webhook_and_slack(
    engine: Served, environ: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[tuple[str, bytes]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["X-Advisor-Signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    engine.failing = True
    with slack_server() as slack:
        monkeypatch.setenv("ADVISOR_SLACK_BOT_TOKEN", BOT_TOKEN)
        monkeypatch.setenv("ADVISOR_SLACK_API_URL", f"{slack.url}/api/")
        monkeypatch.setenv("ADVISOR_WEBHOOK_SECRET", "s3cret")
        url = f"http://127.0.0.1:{hook.server_address[1]}/hook"
        run(engine.url, webhook=url, slack="C1", duration="5s")
        (said,) = slack.texts("C1")
    hook.shutdown()
    hook.server_close()
    assert "пробный запрос" in said
    ((signature, body),) = got
    wanted = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert signature == f"sha256={wanted}"
    assert json.loads(body)["alert"]["kind"] == "down"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"every": "0.1s"}, "слишком часто"),
        ({"every": "soon"}, "soon"),
        ({"false_alarms": 0}, "больше нуля"),
        ({"price": -1.0}, "меньше нуля"),
        ({"slack": "C1"}, "ADVISOR_SLACK_BOT_TOKEN"),
        ({"webhook": "nowhere"}, "не адрес"),
        ({"model": "other"}, "нет модели"),
        ({"session": "20260101-000000-0000"}, "нет"),
    ],
)
def test_mistakes_are_one_clear_line(
    engine: Served, environ: Home, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        run(engine.url, **change)


def test_nobody_there_is_bad_input(environ: Home) -> None:
    with pytest.raises(BadInput, match="не отвечает"):
        run("http://127.0.0.1:9")
