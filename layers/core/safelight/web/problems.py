"""Errors as RFC 9457 problem details, in one place."""

import re
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from safelight import errors
from safelight.errors import SafelightError
from safelight.web import pages

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[SafelightError], int] = {
    errors.Unreadable: 400,
    errors.NotFound: 404,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.Invalid: 422,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
}

_TOLD = 20
"""How many mistakes are listed: a small body can hold a million, and the answer would be larger than it."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")

_TITLES = {
    400: (errors.Unreadable.code, errors.Unreadable.title),
    404: (errors.NotFound.code, errors.NotFound.title),
    405: ("method_not_allowed", "This is not done here"),
}


def problem(
    status: int, code: str, title: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
) -> JSONResponse:
    """A problem document. It says nothing about the request, so that foreign and missing read the same."""
    body = {**_members(status, code, title, detail), **members}
    return JSONResponse(body, status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


def _members(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": "about:blank", "status": status, "code": code, "title": title, "detail": detail}


def unexpected() -> JSONResponse:
    """What is told of a defect: nothing but that it happened."""
    return problem(500, "error", SafelightError.title, "It was noted. Please try again in a moment.")


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem."""
    app.add_exception_handler(SafelightError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def status_of(error: SafelightError) -> int | None:
    """The status of this error: that of its nearest base that has one. None is a defect of ours."""
    return next((STATUS[base] for base in type(error).__mro__ if base in STATUS), None)


def document(error: SafelightError) -> dict[str, Any]:
    """An expected error as the members of a problem document, for an answer that holds several."""
    status = status_of(error)
    assert status is not None
    return _members(status, error.code, error.title, error.detail)


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, SafelightError)
    status = status_of(error)
    if status is None:
        raise error
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return _answer(request, status, error.code, error.title, error.detail, headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The offending input stays out: it may be a password.
    found = [{"field": _field(one), "message": _message(one)} for one in error.errors()[:_TOLD]]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in found)
    return problem(422, errors.Invalid.code, errors.Invalid.title, detail, errors=found)


def _field(one: dict[str, Any]) -> str:
    where, *path = one["loc"]
    # For JSON that cannot be read at all, the rest of the place is an offset.
    return str(where) if one["type"] == "json_invalid" else ".".join(map(_step, path)) or str(where)


def _message(one: dict[str, Any]) -> str:
    # What the parser says of unreadable JSON is its own: it quotes nothing.
    return f"{one['msg']}: {one['ctx']['error']}" if one["type"] == "json_invalid" else str(one["msg"])


def _step(part: object) -> str:
    # A misspelt name is told; what was never meant as one may be anything, of any length.
    return str(part) if _NAME.fullmatch(str(part)) else "?"


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, title = _TITLES.get(error.status_code, ("http_error", str(error.detail)))
    return _answer(request, error.status_code, code, title, title, dict(error.headers or {}))


def _answer(request: Request, status: int, code: str, title: str, detail: str, headers: dict[str, str]) -> Response:
    if pages.wants_page(request):
        return pages.message(request, status, title, detail, {"Cache-Control": "no-store", **headers})
    return problem(status, code, title, detail, headers=headers)
