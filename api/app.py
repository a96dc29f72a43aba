"""create_app(settings): the FastAPI application. One file under api/routes adds one router."""

import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from api.middleware import Gate
from api.service import Service
from api.settings import Settings
from tools.store.schema import advisor_version

ROUTES = Path(__file__).parent / "routes"
_TEXT = """Оптимизация LLM inference с доказательством: сессии, чат, события, отчёты.

Ключ: `Authorization: Bearer …`, делается командой `advisor keys create`.
Ошибки — в конверте OpenAI.
"""


def route_modules() -> list[ModuleType]:
    """All routers, found by file name. A module has `router`, and may have
    `lifespan(app) -> async context manager`, entered once the service is open, and `mount(app)`."""
    names = sorted(path.stem for path in ROUTES.glob("*.py") if not path.stem.startswith("_"))
    return [importlib.import_module(f"api.routes.{name}") for name in names]


def create_app(settings: Settings) -> FastAPI:
    """The application; the store is opened when it starts, not when it is made."""
    modules = route_modules()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(Service.open(settings))
            app.state.service = service
            for module in modules:
                if hasattr(module, "lifespan"):
                    await stack.enter_async_context(module.lifespan(app))
            yield

    app = FastAPI(
        title="inference-advisor",
        version=advisor_version(),
        description=_TEXT,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
        swagger_ui_parameters={"persistAuthorization": True},
    )
    app.state.settings = settings
    errors.install(app)
    app.add_middleware(_LateGate)
    for module in modules:
        app.include_router(module.router)
        if hasattr(module, "mount"):
            module.mount(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


class _LateGate:
    """The gate needs the service, which is there only once the application has started."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.gate: Gate | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.gate is None:
            self.gate = Gate(self.app, scope["app"].state.service)
        await self.gate(scope, receive, send)


def _openapi(app: FastAPI) -> dict[str, object]:
    """FastAPI's document, with the answers that the gate and our error handler really give."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            answers = operation["responses"]
            answers.pop("422", None)
            for status, text in _common(path, operation).items():
                answers.setdefault(status, {"description": text, "content": _ENVELOPE})
    parts = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        parts.pop(name, None)
    envelope = errors.ErrorEnvelope.model_json_schema(ref_template="#/components/schemas/{model}")
    parts.update(envelope.pop("$defs"))
    parts["ErrorEnvelope"] = envelope
    app.openapi_schema = schema
    return schema


_ENVELOPE = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}}


def _common(path: str, operation: dict[str, object]) -> dict[str, str]:
    found = {}
    if "requestBody" in operation or operation.get("parameters"):
        found["400"] = "Запрос не подходит: что не так и как исправить"
    if operation.get("security"):
        found |= {"401": "Нет ключа или он неверен", "403": "Этому ключу нельзя",
                  "429": "Слишком часто; Retry-After говорит, когда снова"}  # fmt: skip
    if "{" in path:
        found["404"] = "Такого нет"
    if "requestBody" in operation:
        found |= {"408": "Тело не пришло вовремя", "413": "Тело слишком большое"}
    if path.startswith("/v1/"):
        found["503"] = "Сейчас не получится; Retry-After говорит, когда снова"
    return found
