"""A server that speaks Slack's Web API and socket mode, over real sockets, in a thread of its own.

It refuses what Slack refuses: a wrong token, an unknown channel, the edit of a message that is not
there, a file that was never uploaded.
"""

import asyncio
import hashlib
import hmac
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2
from aiohttp import WSMsgType, web

BOT_TOKEN, APP_TOKEN, SECRET = "xoxb-of-the-tests", "xapp-of-the-tests", "8f742231b10e8888abcd99"
BOT_USER, TEAM = "UBOT", "T1"
CHANNELS = {"C1": "llm", "C2": "reads", "C3": "closed", "D1": "dm"}
"""Channels that the bot is in. C9 exists, but the bot was not invited."""


@dataclass
class SlackServer:
    """What was sent to it, and what Slack would now show."""

    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    messages: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    ephemeral: list[dict[str, Any]] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    shared: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    failing: list[tuple[str, int]] = field(default_factory=list)
    """(method, how many more calls of it get 429)."""
    reject: set[str] = field(default_factory=set)
    """Methods that answer internal_error."""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    # What tests look at

    def texts(self, channel: str, thread: str | None = None) -> list[str]:
        here = [m for (where, _), m in sorted(self.messages.items()) if where == channel]
        return [m["text"] for m in here if thread is None or m.get("thread_ts") == thread]

    def find(self, part: str) -> dict[str, Any] | None:
        return next((m for m in self.messages.values() if part in m["text"]), None)

    def edits(self, ts: str) -> list[str]:
        return [c["text"] for m, c in self.calls if m == "chat.update" and c.get("ts") == ts]

    def push(self, envelope: dict[str, Any]) -> None:
        """Over the socket, as Slack delivers in socket mode."""
        assert self.loop
        text = json.dumps(envelope)
        asyncio.run_coroutine_threadsafe(self.sockets[-1].send_str(text), self.loop).result(10)

    # The API

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        given = await _arguments(request)
        self.calls.append((method, given))
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if request.headers.get("authorization") != f"Bearer {wanted}":
            return _error("invalid_auth")
        if self._limited(method):
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429,
                                     headers={"Retry-After": "1"})  # fmt: skip
        if method in self.reject:
            return _error("internal_error")
        found = getattr(self, "_" + method.replace(".", "_"), None)
        return _error("unknown_method") if found is None else found(given)

    def _limited(self, method: str) -> bool:
        for n, (name, left) in enumerate(self.failing):
            if name == method and left:
                self.failing[n] = (name, left - 1)
                return True
        return False

    def _auth_test(self, _: dict[str, Any]) -> web.Response:
        return _ok(url=self.url, team="t", user="advisor", team_id=TEAM, user_id=BOT_USER,
                   bot_id="B1", is_enterprise_install=False)  # fmt: skip

    def _channel(self, given: dict[str, Any]) -> str | None:
        name = str(given.get("channel", ""))
        if name.startswith("#"):
            return next((c for c, n in CHANNELS.items() if n == name[1:]), None)
        return name if name in CHANNELS else None

    def _chat_postMessage(self, given: dict[str, Any]) -> web.Response:  # noqa: N802
        channel = self._channel(given)
        if channel is None:
            known = given.get("channel") == "C9"
            return _error("not_in_channel" if known else "channel_not_found")
        text = given.get("text") or ""
        if not text and not given.get("blocks"):
            return _error("no_text")
        if len(text) > 4000:
            return _error("msg_too_long")
        ts = f"{1_700_000_000 + next(self._numbers)}.000100"
        self.messages[channel, ts] = given | {"text": text, "ts": ts, "user": BOT_USER}
        return _ok(channel=channel, ts=ts, message={"text": text, "ts": ts})

    def _chat_update(self, given: dict[str, Any]) -> web.Response:
        key = (given.get("channel"), given.get("ts"))
        if key not in self.messages:
            return _error("message_not_found")
        if len(given.get("text") or "") > 4000:
            return _error("msg_too_long")
        kept = self.messages[key]  # type: ignore[index]
        kept["text"] = given.get("text", "")
        kept["blocks"] = given.get("blocks")
        return _ok(channel=key[0], ts=key[1], text=given.get("text"))

    def _chat_postEphemeral(self, given: dict[str, Any]) -> web.Response:  # noqa: N802
        if self._channel(given) is None or not given.get("user"):
            return _error("channel_not_found")
        self.ephemeral.append(given)
        return _ok(message_ts="1.1")

    def _conversations_replies(self, given: dict[str, Any]) -> web.Response:
        thread = given.get("ts")
        said = [m for (c, ts), m in sorted(self.messages.items())
                if c == given.get("channel") and thread in (ts, m.get("thread_ts"))]  # fmt: skip
        return _ok(messages=said) if said else _error("thread_not_found")

    def _files_getUploadURLExternal(self, given: dict[str, Any]) -> web.Response:  # noqa: N802
        if not given.get("filename") or int(given.get("length", 0)) <= 0:
            return _error("invalid_arguments")
        number = f"F{next(self._numbers)}"
        self.files[number] = {"name": given["filename"], "length": int(given["length"])}
        return _ok(upload_url=f"{self.url}/upload/{number}", file_id=number)

    def _files_completeUploadExternal(self, given: dict[str, Any]) -> web.Response:  # noqa: N802
        files = given.get("files") or []
        files = json.loads(files) if isinstance(files, str) else files
        for one in files:
            kept = self.files.get(one["id"], {})
            if len(kept.get("body", b"")) != kept.get("length"):
                return _error("file_not_found")
        self.shared.append(given | {"files": files})
        return _ok(files=[{"id": f["id"], "title": f.get("title", "")} for f in files])

    def _apps_connections_open(self, _: dict[str, Any]) -> web.Response:
        return _ok(url=self.url.replace("http://", "ws://") + "/link?ticket=1")

    async def upload(self, request: web.Request) -> web.Response:
        number = request.match_info["file"]
        content = request.headers.get("content-type", "")
        if content.startswith("multipart/"):
            form = await request.post()
            part = next(iter(form.values()))
            body = part.file.read() if isinstance(part, web.FileField) else str(part).encode()
        else:
            body = await request.read()
        self.files[number]["body"] = body
        return web.Response(text=f"OK - {len(body)}")

    async def respond(self, request: web.Request) -> web.Response:
        self.responses.append(await request.json())
        return web.Response(text="ok")

    async def link(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        async for message in socket:
            if message.type == WSMsgType.TEXT and message.data.startswith("{"):
                self.acknowledged.append(json.loads(message.data).get("envelope_id", ""))
        return socket


async def _arguments(request: web.Request) -> dict[str, Any]:
    if "json" in request.headers.get("content-type", ""):
        found: dict[str, Any] = await request.json()
        return found
    form: dict[str, Any] = dict(await request.post()) | dict(request.query)
    if isinstance(form.get("blocks"), str):
        form["blocks"] = json.loads(form["blocks"])
    return form


def _ok(**more: Any) -> web.Response:
    return web.json_response({"ok": True, **more})


def _error(name: str) -> web.Response:
    return web.json_response({"ok": False, "error": name})


@contextmanager
def slack_server() -> Iterator[SlackServer]:
    """Listens on loopback while inside."""
    slack = SlackServer()
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        slack.loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/api/{method}", slack.handle)
        app.router.add_post("/upload/{file}", slack.upload)
        app.router.add_post("/respond", slack.respond)
        app.router.add_get("/link", slack.link)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(20)
    try:
        yield slack
    finally:
        assert slack.loop
        slack.loop.call_soon_threadsafe(stop.set)
        thread.join(20)


@dataclass
class Sender:
    """Sends to the bot what Slack sends, signed as Slack signs."""

    client: httpx2.Client
    slack: SlackServer
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def post(
        self,
        path: str,
        body: bytes,
        kind: str = "application/json",
        *,
        secret: str = SECRET,
        age_s: float = 0,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        at = str(int(time.time() - age_s))
        digest = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256)
        signed = {
            "Content-Type": kind,
            "X-Slack-Request-Timestamp": at,
            "X-Slack-Signature": "v0=" + digest.hexdigest(),
        }
        return self.client.post(path, content=body, headers=signed | (headers or {}))

    def form(self, path: str, fields: dict[str, str], **more: Any) -> httpx2.Response:
        body = urllib.parse.urlencode(fields).encode()
        return self.post(path, body, "application/x-www-form-urlencoded", **more)

    def command(
        self, text: str, channel: str = "C1", user: str = "U1", **more: Any
    ) -> httpx2.Response:
        return self.form("/slack/commands", self.command_fields(text, channel, user), **more)

    def command_fields(self, text: str, channel: str = "C1", user: str = "U1") -> dict[str, str]:
        return {
            "token": "old", "team_id": TEAM, "channel_id": channel, "user_id": user,
            "command": "/advisor", "text": text, "api_app_id": "A1",
            "response_url": f"{self.slack.url}/respond", "trigger_id": f"t{next(self._numbers)}",
        }  # fmt: skip

    def event(self, event: dict[str, Any], event_id: str = "", **more: Any) -> httpx2.Response:
        return self.post(
            "/slack/events", json.dumps(self.envelope(event, event_id)).encode(), **more
        )

    def envelope(self, event: dict[str, Any], event_id: str = "") -> dict[str, Any]:
        return {
            "token": "old", "team_id": TEAM, "api_app_id": "A1", "event": event,
            "type": "event_callback", "event_id": event_id or f"Ev{next(self._numbers)}",
            "event_time": int(time.time()), "authorizations": [
                {"team_id": TEAM, "user_id": BOT_USER, "is_bot": True,
                 "is_enterprise_install": False, "enterprise_id": None}
            ],
        }  # fmt: skip

    def mention(
        self, text: str, channel: str = "C1", user: str = "U1", thread: str = "", **more: Any
    ) -> httpx2.Response:
        event = {"type": "app_mention", "user": user, "channel": channel,
                 "text": f"<@{BOT_USER}> {text}", "ts": f"{time.time():.6f}"}  # fmt: skip
        if thread:
            event["thread_ts"] = thread
        return self.event(event, **more)

    def direct(self, text: str, user: str = "U1", **more: Any) -> httpx2.Response:
        event = {"type": "message", "channel_type": "im", "user": user, "channel": "D1",
                 "text": text, "ts": f"{time.time():.6f}"}  # fmt: skip
        return self.event(event | more.pop("fields", {}), **more)

    def reaction(self, channel: str, ts: str, name: str = "x", user: str = "U1") -> httpx2.Response:
        item = {"type": "message", "channel": channel, "ts": ts}
        return self.event({"type": "reaction_added", "user": user, "reaction": name, "item": item,
                           "item_user": BOT_USER, "event_ts": f"{time.time():.6f}"})  # fmt: skip

    def press(self, message: dict[str, Any], action: str, user: str = "U1") -> httpx2.Response:
        """A button of a message that the bot has posted."""
        (button,) = [e for block in message["blocks"] if block["type"] == "actions"
                     for e in block["elements"] if e["action_id"] == action]  # fmt: skip
        payload = {
            "type": "block_actions", "team": {"id": TEAM, "domain": "t"}, "user": {"id": user},
            "api_app_id": "A1", "token": "old", "trigger_id": f"t{next(self._numbers)}",
            "container": {"type": "message"}, "channel": {"id": message["channel"]},
            "message": {"ts": message["ts"], "text": message["text"]},
            "response_url": f"{self.slack.url}/respond", "actions": [button | {"block_id": "b"}],
        }  # fmt: skip
        return self.form("/slack/interactions", {"payload": json.dumps(payload)})
