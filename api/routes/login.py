"""Logging in with a key, and the switch of the language."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from api.auth import COOKIE, ServiceDep, authenticate
from api.dashboard.language import LANGUAGES
from api.dashboard.web import (
    LANGUAGE_COOKIE,
    STATIC,
    PageRoute,
    VisitorDep,
    back_to,
    form,
    local,
    page,
    raw_form,
)
from api.errors import ApiError
from api.service import Service
from api.service.limits import Limiter

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_TRIES_PER_MINUTE = 20
_YEAR_S = 365 * 86400
_FORTNIGHT_S = 14 * 86400
_Next = Annotated[str, Query(max_length=2000)]


@router.get("/login")
async def login_page(request: Request, service: ServiceDep, next: _Next = "/") -> Response:
    """The form."""
    if authenticate(request.headers, "GET", service):
        return back_to(next)
    return _form(request, next)


@router.post("/login")
async def log_in(request: Request, service: ServiceDep) -> Response:
    """A key for a cookie that scripts can't read and other sites can't send."""
    _slow_down(request)
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise ApiError(403, "csrf", "Форма пришла не с этой страницы", "Откройте /login")
    fields = await raw_form(request)
    token = service.keys.log_in(fields.get("key", "").strip())
    if token is None:
        return _form(request, fields.get("next", "/"), wrong=True)
    response = back_to(fields.get("next", "/"))
    response.set_cookie(
        COOKIE, token, max_age=_FORTNIGHT_S, httponly=True, samesite="strict",
        secure=_by_https(request, service), path="/",
    )  # fmt: skip
    return response


@router.post("/logout")
async def log_out(request: Request, visitor: VisitorDep, service: ServiceDep) -> Response:
    """The token is worth nothing from now on, also where it was copied."""
    await form(request, visitor)
    service.keys.log_out(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, path="/")
    return response


@router.get("/language/{code}")
async def language(request: Request, code: str, service: ServiceDep, next: _Next = "/") -> Response:
    """Kept in a cookie."""
    if code not in LANGUAGES:
        raise ApiError(404, "not_found", "Такого языка нет", f"Есть: {', '.join(LANGUAGES)}")
    response = RedirectResponse(local(next), 303)
    response.set_cookie(
        LANGUAGE_COOKIE, code, max_age=_YEAR_S, httponly=True, samesite="lax",
        secure=_by_https(request, service),
    )  # fmt: skip
    return response


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """The style and the script; their address changes when they do."""
    known = {path.name: path for path in STATIC.iterdir()}
    if name not in known:
        raise HTTPException(404)
    return FileResponse(
        known[name], headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


def _form(request: Request, next_path: str, *, wrong: bool = False) -> HTMLResponse:
    return page(
        request, "login.html", None, 401 if wrong else 200, next=local(next_path), wrong=wrong
    )


def _slow_down(request: Request) -> None:
    """Guessing a key of 256 bits is hopeless anyway; this keeps the noise down."""
    state = request.app.state
    if not hasattr(state, "login_limiter"):
        state.login_limiter = Limiter(_TRIES_PER_MINUTE, _TRIES_PER_MINUTE)
    if wait := state.login_limiter.wait_s(request.client.host if request.client else ""):
        raise ApiError(
            429, "rate_limit_exceeded", "Слишком много попыток", f"Повторите через {wait} с",
            headers={"Retry-After": str(wait)},
        )  # fmt: skip


def _by_https(request: Request, service: Service) -> bool:
    public = service.settings.public_url or ""
    return request.url.scheme == "https" or public.startswith("https://")
