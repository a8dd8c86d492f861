"""Answers that are made without a model, because building one would cost every visitor time, described all the same."""

from typing import Any


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _maybe(kind: str, **more: str) -> dict[str, Any]:
    return {"anyOf": [{"type": kind, **more}, {"type": "null"}]}


_TEXT, _NUMBER, _ID = {"type": "string"}, {"type": "integer"}, {"type": "string", "format": "uuid"}
_FAVOURITES = _object(
    selection_id=_maybe("string", format="uuid"),
    photo_ids={"type": "array", "items": _ID},
    count=_NUMBER,
    limit=_maybe("integer"),
    submitted_at=_maybe("string"),
    note=_TEXT,
    name=_maybe("string"),
)
_PHOTO = _object(
    photo_id=_ID,
    filename=_TEXT,
    thumbnail_url={"type": "string", "description": "Good for 15 minutes at most"},
    preview_url=_TEXT,
    full_url={"type": "string", "description": "A path of this service that leads to the largest picture to look at"},
    width=_maybe("integer"),
    height=_maybe("integer"),
    thumbhash=_maybe("string"),
)
_GALLERY = _object(
    gallery=_object(title=_TEXT, description=_TEXT),
    photos={"type": "array", "items": _PHOTO},
    expires_at=_maybe("string", format="date-time"),
    download={"type": "string", "enum": ["none", "web", "original"]},
    next_cursor=_maybe("string"),
)
_MEMBER = _object(name=_TEXT, size=_NUMBER, crc32=_NUMBER, sha256=_TEXT)
_MANIFEST = _object(name=_TEXT, size=_NUMBER, etag=_maybe("string"), photos={"type": "array", "items": _MEMBER})
_ARCHIVE = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}

ANSWERS: dict[str, dict[str, Any]] = {
    "GET /s/{share_id}": {"application/json": {"schema": _GALLERY}, "text/html": {"schema": _TEXT}},
    "GET /s/{share_id}/favourites": {"application/json": {"schema": _FAVOURITES}},
    "POST /s/{share_id}/selection": {"application/json": {"schema": _FAVOURITES}},
    "GET /s/{share_id}/download/all/manifest": {"application/json": {"schema": _MANIFEST}},
    "GET /galleries/{gallery_id}/download/manifest": {"application/json": {"schema": _MANIFEST}},
    "GET /s/{share_id}/download/all": _ARCHIVE,
    "GET /galleries/{gallery_id}/download": _ARCHIVE,
    "GET /metrics": {"text/plain": {"schema": _TEXT}},
}


def describe(route: str, responses: dict[str, Any]) -> None:
    """Tell what this route (`GET /path`) answers with, where its code does not; HEAD answers with nothing."""
    if content := ANSWERS.get(route):
        responses["200"]["content"] = content
        if content is _ARCHIVE:
            responses["206"] = {"description": "The part that was asked for", "content": content}
    if route.startswith("HEAD "):
        for answer in responses.values():
            answer.pop("content", None)
