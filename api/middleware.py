"""What every request passes before anything of it is read: key, rate, size and pace of the body."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import authenticate, unauthorized
from api.errors import ApiError, answer
from api.service import Service
from api.service.limits import Limiter

_GUARDED = ("/v1/", "/mcp")
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_WRONG_KEYS_PER_MINUTE = 60


class Gate:
    """Refuses early: 401 and 429 come before a byte of the body is taken."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.service = service
        settings = service.settings
        self._per_key = Limiter(settings.rate_per_minute, settings.rate_burst)
        self._strangers = Limiter(_WRONG_KEYS_PER_MINUTE, _WRONG_KEYS_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            if scope["path"].startswith(_GUARDED):
                self._let_in(scope)
            body = _Body(scope, receive, self.service)
        except ApiError as error:
            refusal = answer(error.status, str(error), error.code, headers=error.headers)
            await refusal(scope, receive, send)
        except HTTPException as error:
            refusal = answer(
                413, error.detail, "request_too_large", headers={"Connection": "close"}
            )
            await refusal(scope, receive, send)
        else:
            await self.app(scope, body.receive, _with_headers(send))

    def _let_in(self, scope: Scope) -> None:
        principal = authenticate(Headers(scope=scope), scope["method"], self.service)
        if principal is None:
            client = scope.get("client")
            self._count(self._strangers, client[0] if client else "")
            raise unauthorized()
        self._count(self._per_key, principal.key_id)
        scope["principal"] = principal

    @staticmethod
    def _count(limiter: Limiter, name: str) -> None:
        if wait := limiter.wait_s(name):
            raise ApiError(
                429, "rate_limit_exceeded", "Слишком много запросов", f"Повторите через {wait} с",
                headers={"Retry-After": str(wait)},
            )  # fmt: skip


class _Body:
    """Counts the bytes of a body and its seconds."""

    def __init__(self, scope: Scope, receive: Receive, service: Service) -> None:
        self._receive = receive
        self._limit = service.settings.body_limit_bytes
        self._timeout_s = service.settings.body_timeout_s
        self._deadline: float | None = None
        self._ended = False
        self._size = 0
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        if self._ended:
            return await self._receive()
        clock = asyncio.get_running_loop().time
        self._deadline = self._deadline or clock() + self._timeout_s
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                408, f"Тело запроса не пришло за {self._timeout_s:g} с", {"Connection": "close"}
            ) from None
        self._size += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._size > self._limit:
            raise self._too_large()
        return message

    def _too_large(self) -> HTTPException:
        # An HTTPException passes through FastAPI's reading of a body; other errors become a 400.
        return HTTPException(
            413, f"Тело запроса больше {self._limit} байт", {"Connection": "close"}
        )


def _with_headers(send: Callable[[Message], Awaitable[None]]) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            own = {name.lower() for name, _ in message["headers"]}
            ours = [header for header in _SECURITY_HEADERS if header[0] not in own]
            message["headers"] = [*message["headers"], *ours]
        await send(message)

    return wrapped
