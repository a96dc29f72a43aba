"""Who asks: a bearer key, or a browser that logged in with one. Scopes are read and run."""

import hmac
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers

from api.errors import ApiError
from api.service import Service
from api.service.keys import Principal

COOKIE = "advisor_login"
_SAFE = ("GET", "HEAD", "OPTIONS")
_BEARER = HTTPBearer(
    scheme_name="bearer", description="Ключ из `advisor keys create`", auto_error=False
)
LOCAL = Principal("local", "local", frozenset({"read", "run"}), trusted=True)
"""The command line of the same user, known by a token in a file that only that user can read."""


def authenticate(headers: Headers, method: str, service: Service) -> Principal | None:
    """The principal of a request, None when nothing in it is valid."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text:
        key = text.strip()
        if service.local_token and hmac.compare_digest(key.encode(), service.local_token.encode()):
            return LOCAL
        return service.keys.check(key)
    token = _cookie(headers)
    if token and (method in _SAFE or _same_origin(headers)):
        return service.keys.check_login(token)
    return None


def unauthorized() -> ApiError:
    """The 401 of every edge."""
    return ApiError(
        401, "invalid_api_key", "Нет ключа API или он неверен",
        "Заголовок: Authorization: Bearer КЛЮЧ; ключ: advisor keys create",
        headers={"WWW-Authenticate": "Bearer"},
    )  # fmt: skip


def require(principal: Principal, scope: str) -> None:
    """Raises ApiError 403."""
    if not principal.may(scope):
        raise ApiError(
            403, "insufficient_scope", f"Этому ключу нужен scope {scope}",
            f"advisor keys create --scope {scope}",
        )  # fmt: skip


def get_service(request: Request) -> Service:
    """The one Service of this application."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def _cookie(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _same_origin(headers: Headers) -> bool:
    """A form of another site sends its own Origin; then the cookie counts for nothing."""
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] == headers.get("host")


def _having(scope: str) -> Callable[..., Principal]:
    def dependency(
        request: Request,
        service: Annotated[Service, Depends(get_service)],
        _documented: Annotated[object, Security(_BEARER)] = None,
    ) -> Principal:
        found = request.scope.get("principal") or authenticate(
            request.headers, request.method, service
        )
        if not isinstance(found, Principal):
            raise unauthorized()
        require(found, scope)
        return found

    return dependency


ServiceDep = Annotated[Service, Depends(get_service)]
Reader = Annotated[Principal, Depends(_having("read"))]
Runner = Annotated[Principal, Depends(_having("run"))]
