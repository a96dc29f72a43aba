"""Nobody gets in, nothing gets out: each way of trying is a test."""

import asyncio
import http.server
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.errors import ApiError
from api.service.flags import refuse_code
from api.service.urls import UrlGuard
from api.settings import Settings
from tests.api.conftest import Live, serving, wait_for, wait_state

UNKNOWN = "20260101-000000-0000"


@pytest.fixture
def impatient(settings_of: Callable[..., Settings], models: Path) -> Iterator[Live]:
    """A server that waits for nobody."""
    settings = settings_of(header_timeout_s=1, body_timeout_s=1, stalled_s=1, drain_s=0)
    with serving(settings, models) as running:
        yield running


def operations(live: Live) -> list[tuple[str, str]]:
    with live.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path.replace("{session}", UNKNOWN).replace("{name}", "a.png")
             .replace("{model}", "advisor"))
            for path, methods in paths.items() for method in methods]  # fmt: skip


def test_no_key_and_wrong_keys_open_nothing(live: Live) -> None:
    guarded = [(m, p) for m, p in operations(live) if p.startswith("/v1/") or p == "/metrics"]
    assert len(guarded) > 15
    half = live.run_key[:-6]
    wrong = ["x", "adv_", "adv_00000000_secret", half, f"{half}AAAAAA", "Basic x"]
    with live.client() as client:
        for method, path in [*guarded, ("POST", "/mcp")]:
            bare = client.request(method, path, headers={"Authorization": ""})
            assert bare.status_code == 401, path
            assert bare.json()["error"]["type"] == "authentication_error"
            assert bare.headers["www-authenticate"] == "Bearer"
        for key in wrong:
            answer = client.get("/v1/sessions", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 401, key
        assert client.get("/healthz").status_code == 200


def test_a_read_key_runs_nothing(live: Live) -> None:
    with live.client(live.read_key) as client:
        assert client.get("/v1/sessions").status_code == 200
        for path, body in (
            ("/v1/sessions", live.body()),
            (f"/v1/sessions/{UNKNOWN}/cancel", {}),
            (f"/v1/sessions/{UNKNOWN}/resume", None),
            ("/v1/hooks/model", {"model": "demo"}),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 403, path
            assert answer.json()["error"]["type"] == "permission_error"
        assert client.get("/v1/sessions").json()["data"] == []


def test_a_revoked_key_is_refused_at_once(live: Live) -> None:
    from api.service.database import Database
    from api.service.keys import Keys

    with live.client(live.read_key) as client:
        assert client.get("/v1/sessions").status_code == 200
        other_process = Database(live.settings.folders().data / "service.sqlite")
        Keys(other_process).revoke(live.read_key.split("_")[1])
        other_process.close()
        assert client.get("/v1/sessions").status_code == 401


def test_keys_are_stored_as_hashes_only(live: Live) -> None:
    data = live.settings.folders().data
    written = b"".join(path.read_bytes() for path in data.glob("service.sqlite*"))
    for key in (live.run_key, live.read_key):
        assert key.split("_", 2)[2].encode() not in written
    assert (data / "service.sqlite").stat().st_mode & 0o077 == 0
    assert (data / "service.json").stat().st_mode & 0o077 == 0


def test_paths_outside_the_roots_are_refused_whether_they_exist_or_not(
    live: Live, tmp_path: Path
) -> None:
    outside = tmp_path / "home"
    assert outside.is_dir()
    link = live.models / "link"
    link.symlink_to(outside)
    with live.client() as client:
        answers = [
            client.post("/v1/sessions", json=live.body(model=model)).json()["error"]
            for model in (
                "/etc", "/etc/passwd", "/no/such/folder", str(outside), str(link), "~root",
                f"{live.models}/tiny/../../etc", f"{live.models}/../home", "../tiny", "api/service",
            )
        ]  # fmt: skip
        workload = client.post("/v1/plan", json=live.body(workload="/etc/passwd.jsonl"))
    assert {error["code"] for error in answers} == {"forbidden_path"}
    assert len({error["message"] for error in answers}) == 1
    assert workload.json()["error"]["code"] == "forbidden_path"


@pytest.mark.parametrize(
    "name",
    ["../../service.sqlite", "..%2f..%2fservice.sqlite", "%2e%2e/x.png", "....//x.png", "a.png%00",
     "/etc/passwd", "con.png\\..\\x", ".hidden.png"],
)  # fmt: skip
def test_report_names_lead_nowhere_else(live: Live, name: str) -> None:
    with live.client() as client:
        session = client.post("/v1/sessions", json=live.body()).json()["id"]
        for path in (
            f"/v1/sessions/{session}/report/{name}",
            f"/v1/sessions/{name}/report",
            f"/v1/sessions/..%2f{session}/report",
        ):
            answer = client.get(path)
            assert answer.status_code in (400, 404), path
            assert b"SQLite" not in answer.content
        client.post(f"/v1/sessions/{session}/cancel", json={"drain_s": 0})
        wait_state(client, session, "cancelled")


@pytest.mark.parametrize(
    "flag",
    ["trust-remote-code", "trust_remote_code", "--trust-remote-code", "tool-parser-plugin",
     "reasoning-parser-plugin", "io-processor-plugin", "middleware", "logits-processors",
     "worker-cls", "worker-extension-cls", "distributed-executor-backend", "scheduler-cls",
     "hf-overrides", "config", "api-key-env"],
)  # fmt: skip
def test_flags_that_load_code_need_the_operator(live: Live, flag: str) -> None:
    with live.client() as client:
        answer = client.post("/v1/sessions", json=live.body(flags={flag: "x"}))
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "remote_code"
    refuse_code([flag], allowed=True)


def test_a_checkpoint_that_brings_code_needs_the_operator(
    live: Live, settings_of: Callable[..., Settings]
) -> None:
    config = live.models / "tiny" / "config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "m.M"}})
    )
    with live.client() as client:
        answer = client.post("/v1/plan", json=live.body())
    assert answer.json()["error"]["code"] == "remote_code"


def test_flags_of_every_day_do_pass(live: Live) -> None:
    usual = {"max-num-seqs": 8, "enable-prefix-caching": False, "dtype": "bfloat16"}
    with live.client() as client:
        assert client.post("/v1/plan", json=live.body(flags=usual)).status_code == 200


PRIVATE = [
    "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://127.0.0.1:8080/",
    "http://localhost/", "http://2130706433/", "http://0x7f.1/", "http://0/", "http://10.0.0.7/",
    "http://192.168.1.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://172.17.0.1/", "http://100.64.0.1/", "http://224.0.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
def test_addresses_inside_are_not_called(live: Live, url: str) -> None:
    with live.client() as client:
        for body in (live.body(webhook=url), live.body(engine="attach", flags={"base-url": url})):
            error = client.post("/v1/sessions", json=body).json()["error"]
            assert error["code"] in ("forbidden_address", "invalid_url"), url
        assert client.get("/v1/sessions").json()["data"] == []


@pytest.mark.parametrize("url", ["ftp://x.org/", "file:///etc/passwd", "http://u:p@x.org/", "x"])
def test_only_plain_http_addresses_are_taken(live: Live, url: str) -> None:
    with live.client() as client:
        assert client.post("/v1/sessions", json=live.body(webhook=url)).status_code == 400


async def test_the_operator_opens_hosts_and_networks_but_not_metadata_by_the_way() -> None:
    async def names(host: str, _port: int) -> list[str]:
        known = {"gpu.lan": "10.1.2.3", "db.lan": "10.9.9.9", "meta": "169.254.169.254"}
        return [known.get(host, host)]

    guard = UrlGuard(("10.1.0.0/16", "meta", "169.254.0.0/16"), names)
    assert (await guard.check("http://gpu.lan:8000/v1")).address == "10.1.2.3"
    for refused in ("http://db.lan/", "http://meta/", "http://169.254.169.254/"):
        with pytest.raises(ApiError):
            await guard.check(refused)
    opened = UrlGuard(("169.254.169.254",), names)
    assert (await opened.check("http://meta/")).address == "169.254.169.254"
    mixed = UrlGuard((), lambda _h, _p: _later(["93.184.216.34", "10.0.0.1"]))
    with pytest.raises(ApiError):
        await mixed.check("http://both.example/")


async def _later(value: list[str]) -> list[str]:
    await asyncio.sleep(0)
    return value


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    """What is connected to is the address that was checked, not the name again."""
    answers = iter((["93.184.216.34"], ["127.0.0.1"]))

    async def rebinding(_host: str, _port: int) -> list[str]:
        return next(answers)

    guard = UrlGuard((), rebinding)
    to = await guard.check("http://evil.example/hook?x=1")
    assert (to.address, to.authority, to.path) == ("93.184.216.34", "evil.example", "/hook?x=1")
    with pytest.raises(ApiError):
        await guard.check("http://evil.example/hook")


def test_bodies_of_20_mb_are_refused_unread(live: Live) -> None:
    big = b'{"model": "' + b"x" * 20 * 2**20 + b'"}'
    with live.client() as client:
        for path in ("/v1/sessions", "/v1/chat/completions", "/mcp"):
            answer = client.post(path, content=big, headers={"Content-Type": "application/json"})
            assert answer.status_code == 413, path
            assert answer.json()["error"]["code"] == "request_too_large"

        def drops() -> Iterator[bytes]:
            for start in range(0, len(big), 2**16):
                yield big[start : start + 2**16]

        answer = client.post("/v1/sessions", content=drops())  # chunked: no length is declared
        assert answer.status_code == 413
        assert client.get("/healthz").status_code == 200


def raw(live: Live) -> socket.socket:
    host, port = live.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_slow_headers_end_the_connection(impatient: Live) -> None:
    with raw(impatient) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        begun = time.monotonic()
        assert slow.recv(1000) == b""
        assert time.monotonic() - begun < 15
    with raw(impatient) as silent:
        assert silent.recv(1000) == b""


def test_endless_headers_end_the_connection(live: Live) -> None:
    def pour(into: socket.socket) -> None:
        into.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        for _ in range(200):
            into.sendall(b"a" * 2**16)
            time.sleep(0.01)

    with raw(live) as long, pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe
        pour(long)
    with raw(live) as usual:
        usual.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2**14 + b"\r\n\r\n")
        assert usual.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_slow_body_is_given_up(impatient: Live) -> None:
    with raw(impatient) as slow:
        slow.sendall(
            f"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.run_key}"
            "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".encode()
        )
        answer = slow.recv(4000)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in answer


def test_a_watcher_that_does_not_read_is_let_go(impatient: Live) -> None:
    service = impatient.server.app.state.service
    with impatient.client() as client:
        session = client.post("/v1/sessions", json=impatient.body()).json()["id"]
        client.post(f"/v1/sessions/{session}/cancel", json={"drain_s": 0})
        wait_state(client, session, "cancelled")
    service.events.begin(session)
    for _ in range(60):
        service.store.append(session, "progress", {"text": "x" * 200_000})
    with raw(impatient) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(
            f"GET /v1/sessions/{session}/events HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {impatient.run_key}\r\n\r\n".encode()
        )
        wait_for(lambda: service.events.watchers == 1, "the watcher")
        wait_for(lambda: service.events.watchers == 0, "its end", 30)


def test_too_many_requests_are_told_when_to_come_again(
    settings_of: Callable[..., Settings], models: Path
) -> None:
    settings = settings_of(rate_per_minute=60, rate_burst=5)
    with serving(settings, models) as live, live.client() as client:
        answers = [client.get("/v1/models") for _ in range(8)]
        assert [a.status_code for a in answers[:5]] == [200] * 5
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert answers[-1].json()["error"]["type"] == "rate_limit_error"
        with live.client(live.read_key) as other:
            assert other.get("/v1/models").status_code == 200  # another key has its own bucket


def test_a_cookie_counts_only_for_our_own_pages(live: Live) -> None:
    service = live.server.app.state.service
    assert service.keys.log_in("adv_wrong_key") is None
    token = service.keys.log_in(live.run_key)
    cookie = {"Cookie": f"advisor_login={token}", "Authorization": ""}
    with live.client() as client:
        assert client.get("/v1/sessions", headers=cookie).status_code == 200
        forged = client.post(
            "/v1/sessions", json=live.body(), headers=cookie | {"Origin": "http://evil.example"}
        )
        assert forged.status_code == 401
        assert client.post("/v1/sessions", json=live.body(), headers=cookie).status_code == 401
        ours = client.post("/v1/plan", json=live.body(), headers=cookie | {"Origin": live.url})
        assert ours.status_code == 200
        service.keys.log_out(token)
        assert client.get("/v1/sessions", headers=cookie).status_code == 401


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    got: list[tuple[dict[str, str], bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.got.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/told?x=1"
        server.shutdown()
        thread.join()


def test_secrets_stay_out_of_logs_events_and_reports(
    settings_of: Callable[..., Settings],
    models: Path,
    receiver: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole session with a signed webhook, with the log wide open."""
    import hashlib
    import hmac

    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", "hf_very-secret-token")
    settings = settings_of(
        log_level="debug", webhook_secret="sign-with-me", allowed_hosts=("127.0.0.1",),
        llm_api_key="sk-llm-secret",
    )  # fmt: skip
    with serving(settings, models) as live, live.client() as client:
        local_token = live.server.app.state.service.local_token
        session = client.post("/v1/sessions", json=live.body(webhook=receiver)).json()["id"]
        client.get("/v1/sessions", headers={"Authorization": "Bearer adv_12345678_guess"})
        wait_state(client, session, "done")
        wait_for(lambda: Receiver.got, "the webhook")
        record = client.get(f"/v1/sessions/{session}/record").text
        report = client.get(f"/v1/sessions/{session}/report").text
    headers, body = Receiver.got[0]
    signature = hmac.new(b"sign-with-me", body, hashlib.sha256).hexdigest()
    assert headers["X-Advisor-Signature"] == f"sha256={signature}"
    assert json.loads(body)["session"]["state"] == "done"
    folder = settings.folders().sessions / session
    logs = [path.read_text(errors="replace") for path in folder.rglob("*.log")]
    assert logs
    output = capfd.readouterr()
    everything = "\n".join([caplog.text, output.out, output.err, record, report, *logs])
    for secret in (live.run_key, live.read_key, local_token, "sign-with-me", "sk-llm-secret",
                   "hf_very-secret-token", "adv_12345678_guess"):  # fmt: skip
        assert secret.split("_", 2)[-1] not in everything
    assert "sign-with-me" not in repr(settings)
