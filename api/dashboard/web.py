"""What all pages share: templates, who looks, forms that only our own pages can send."""

import functools
import hashlib
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.auth import COOKIE, authenticate, get_service, require
from api.dashboard.language import LANGUAGES, Language
from api.errors import ApiError
from api.service import Service
from api.service.keys import Principal
from api.service.limits import Limiter
from knowledge.errors import AdvisorError, BadInput

HERE = Path(__file__).parent
STATIC = HERE / "static"
LANGUAGE_COOKIE = "advisor_language"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    # Not no-referrer: browsers would then send our own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class LoginNeeded(Exception):
    """Nobody known is looking."""


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page, and in which language."""

    principal: Principal
    language: Language
    csrf: str
    """What a form of this browser must send back; empty for a bearer key, which no site can add."""

    @property
    def may_run(self) -> bool:
        return self.principal.may("run")


def language_of(request: Request) -> Language:
    """By the switch, else Russian."""
    return LANGUAGES.get(request.cookies.get(LANGUAGE_COOKIE, ""), LANGUAGES["ru"])


def csrf_of(token: str) -> str:
    """Bound to the login: another browser's is worth nothing here."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest() if token else ""


def _visitor(request: Request, service: Annotated[Service, Depends(get_service)]) -> Visitor:
    principal = authenticate(request.headers, request.method, service)
    if principal is None:
        raise LoginNeeded
    require(principal, "read")
    _slow_down(request, service, principal)
    by_cookie = not request.headers.get("authorization", "").lower().startswith("bearer ")
    token = request.cookies.get(COOKIE, "") if by_cookie else ""
    return Visitor(principal, language_of(request), csrf_of(token))


def _slow_down(request: Request, service: Service, principal: Principal) -> None:
    """The same rate as over the API, counted by itself."""
    state, settings = request.app.state, service.settings
    if not hasattr(state, "page_limiter"):
        state.page_limiter = Limiter(settings.rate_per_minute, settings.rate_burst)
    if wait := state.page_limiter.wait_s(principal.key_id):
        raise ApiError(
            429, "rate_limit_exceeded", "Слишком много запросов", f"Повторите через {wait} с",
            headers={"Retry-After": str(wait)},
        )  # fmt: skip


VisitorDep = Annotated[Visitor, Depends(_visitor)]


async def form(request: Request, visitor: Visitor) -> dict[str, str]:
    """The fields of a form. Raises ApiError 403 for one that our page did not make."""
    fields = await raw_form(request)
    if not hmac.compare_digest(fields.pop("csrf", "").encode(), visitor.csrf.encode()):
        raise ApiError(
            403, "csrf", "Форма устарела или пришла не с этой страницы",
            "Откройте страницу заново и повторите",
        )  # fmt: skip
    return fields


async def raw_form(request: Request) -> dict[str, str]:
    """Fields of an urlencoded body; of one that comes twice, the last. Raises BadInput."""
    try:
        text = (await request.body()).decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise BadInput("форма не читается", "Отправьте её со страницы") from None


def may_run(visitor: Visitor) -> None:
    """Raises ApiError 403 for a key that may only read."""
    require(visitor.principal, "run")


def local(path: str) -> str:
    """A path of this site to go on to; / for anything else."""
    inside = path.startswith("/") and not path.startswith("//")
    return path if inside and "\\" not in path and path.isprintable() else "/"


def back_to(path: str) -> RedirectResponse:
    """After a form: the browser gets the page anew."""
    return RedirectResponse(local(path), 303)


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _version() -> str:
    """Changes with the static files, so that browsers may keep them for ever."""
    data = b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))
    return hashlib.sha256(data).hexdigest()[:10]


def page(
    request: Request, name: str, visitor: Visitor | None, status: int = 200, **values: object
) -> HTMLResponse:
    """A page from its template."""
    language = visitor.language if visitor else language_of(request)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        here = request.url.path
    shared = {
        "t": language.t, "f": language, "lang": language.code, "visitor": visitor,
        "csrf": visitor.csrf if visitor else "", "here": here, "here_quoted": quote(here, safe=""),
        "version": _version(),
    }  # fmt: skip
    html = _templates().get_template(name).render(**shared, **values)
    return HTMLResponse(html, status)


class PageRoute(APIRoute):
    """A route whose errors are pages too, and whose answers carry the browser's safeguards."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            response = await _answer(inner, request)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return handler


async def _answer(
    inner: Callable[[Request], Coroutine[Any, Any, Response]], request: Request
) -> Response:
    try:
        return await inner(request)
    except LoginNeeded:
        there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(there, safe='')}", 303)
    except RequestValidationError:
        return _error(request, ApiError(404, "not_found", "Такой страницы нет"))
    except AdvisorError as error:
        return _error(request, error)


def _error(request: Request, error: AdvisorError) -> Response:
    status = 400 if isinstance(error, BadInput) else 503
    if isinstance(error, ApiError):
        status = error.status
    service = get_service(request)
    principal = authenticate(request.headers, "GET", service)
    token = request.cookies.get(COOKIE, "")
    visitor = Visitor(principal, language_of(request), csrf_of(token)) if principal else None
    response = page(
        request, "error.html", visitor, status,
        code=status, message=error.message, hint=error.hint,
    )  # fmt: skip
    response.headers.update((error.headers if isinstance(error, ApiError) else None) or {})
    return response
