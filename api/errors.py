"""Errors as the OpenAI envelope: {"error": {"message", "type", "param", "code"}}."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from knowledge.errors import AdvisorError, BadInput

_LOG = logging.getLogger("advisor.api")


class ErrorBody(BaseModel):
    """What went wrong, and how to mend it."""

    message: str = Field(examples=["Сессии «20261123-101500-ab12» нет. Список: GET /v1/sessions"])
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(None, examples=["model"])
    code: str | None = Field(None, examples=["not_found"])


class ErrorEnvelope(BaseModel):
    """Every answer with a status of 400 or above."""

    error: ErrorBody


class ApiError(AdvisorError):
    """An error with a status of its own."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def envelope(
    status: int, message: str, code: str | None = None, param: str | None = None
) -> dict[str, object]:
    """The JSON of one error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    body = ErrorBody(message=message, type=kind, param=param, code=code)
    return ErrorEnvelope(error=body).model_dump()


def answer(
    status: int,
    message: str,
    code: str | None = None,
    *,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """One error as a response."""
    return JSONResponse(envelope(status, message, code, param), status, headers=headers)


def install(app: FastAPI) -> None:
    """The one place where errors become answers of the API."""
    app.add_exception_handler(AdvisorError, _advisor)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _advisor(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AdvisorError)
    if isinstance(error, ApiError):
        return answer(
            error.status, str(error), error.code, param=error.param, headers=error.headers
        )
    if isinstance(error, BadInput):
        return answer(400, str(error), "bad_input")
    _LOG.error("%s %s: %s", request.method, request.url.path, error)
    return answer(503, str(error), type(error).__name__, headers={"Retry-After": "30"})


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    param = where or None
    return answer(400, f"{where or 'запрос'}: {first['msg']}", "invalid_value", param=param)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    words = {
        404: "Такого адреса нет. Что есть: /docs",
        405: "Этот адрес не принимает такой метод. Что есть: /docs",
    }
    codes = {408: "request_timeout", 413: "request_too_large"}
    phrase = HTTPStatus(error.status_code).phrase
    message = words.get(error.status_code, str(error.detail or phrase))
    code = codes.get(error.status_code, phrase.lower().replace(" ", "_"))
    headers = dict(error.headers) if error.headers else None
    return answer(error.status_code, message, code, headers=headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Nothing of it is told to the client; the log has the trace."""
    _LOG.exception("%s %s", request.method, request.url.path, exc_info=error)
    return answer(500, "Внутренняя ошибка. Подробности в журнале сервиса", "internal")
