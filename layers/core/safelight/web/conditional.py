"""Answers that a client may keep and ask about again (RFC 9110 section 13)."""

from collections.abc import Callable

from fastapi import Request, Response
from pydantic import BaseModel

CACHE = "private, max-age=60"


def conditional(request: Request, etag: str, body: BaseModel | Callable[[], BaseModel]) -> Response:
    """304 when the client has this version, else 200 with it; a body that is a function is made only then."""
    headers = {"ETag": etag, "Cache-Control": CACHE, "Vary": "Authorization, X-API-Key"}
    given = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in given or "*" in given:
        return Response(status_code=304, headers=headers)
    shown = body if isinstance(body, BaseModel) else body()
    return Response(shown.model_dump_json(), headers=headers, media_type="application/json")
