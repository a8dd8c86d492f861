"""Refusing a request is cheap: bodies are limited by route before they are parsed, and few errors are made of any."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.hostile import SHAPES
from safelight.accounts.schemas import ApiKeyCreate
from safelight.photos.schemas import KeyedPhoto, PhotoBatch
from safelight.text import MAX_MARKS, UNKNOWN_TOLD, Body, Description
from safelight.web import jsonbody, largebody
from safelight.web.bodies import BATCH, LIMITS, TEXTS_OF, limit_of, words
from safelight.web.policy import ROUTES
from safelight.web.receiving import receive
from tests.api import GROUPS, client
from tests.functions.access import World, request
from tests.functions.attacking import DOCUMENT, JSON_ROUTES, administered, raw
from tests.functions.support import problem

pytestmark = pytest.mark.usefixtures("shared_api")

BODIES = {
    f"{method.upper()} {path}"
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "requestBody" in operation
}
PHOTO = {"filename": "x.jpg", "content_type": "image/jpeg", "file_size": 1}


@pytest.fixture(scope="module")
def world(shared_api: str) -> World:
    assert shared_api
    return administered()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the bodies that the parser was given."""
    sizes: list[int] = []
    parse = jsonbody.parse

    def counted(body: bytes) -> Any:
        sizes.append(len(body))
        return parse(body)

    monkeypatch.setattr(jsonbody, "parse", counted)
    return sizes


def sent(world: World, route: str, body: Any, **headers: str) -> Any:
    """The answer to this body, with the administrator's token."""
    method, _, path = route.partition(" ")
    kind = "application/x-www-form-urlencoded" if route == "POST /auth/token" else "application/json"
    return world.anna.call(method, path.format(**world.things), content=body, headers={"Content-Type": kind, **headers})


def pieces(body: bytes) -> Iterator[bytes]:
    """A body without an announced length."""
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


# ---------------------------------------------------------------- sizes


def test_every_route_with_a_body_has_a_limit_and_every_limit_a_route() -> None:
    assert set(LIMITS) == BODIES
    assert set(LIMITS) <= set(ROUTES)


def test_every_route_of_every_function_is_limited() -> None:
    routes = [route for name in GROUPS for route in importlib.import_module(f"functions.{name}.app").app.routes]
    assert {type(route).__name__ for route in routes} == {"BoundedRoute"}
    assert all(isinstance(route, APIRoute) for route in routes)


@pytest.mark.parametrize("route", sorted(LIMITS))
def test_a_body_over_the_limit_is_refused_before_it_is_parsed(route: str, world: World, parsed: list[int]) -> None:
    limit = LIMITS[route]
    whole = SHAPES["long texts"](limit)
    assert sent(world, route, whole).status_code in (400, 422)
    # A large body is refused by its form already.
    assert parsed == ([limit] if route in JSON_ROUTES and limit not in TEXTS_OF else [])
    parsed.clear()
    told = problem(sent(world, route, whole + b" "), 413, "too_large")
    assert words(limit) in told["detail"]
    assert "Send less" in told["detail"]
    # Its length is not announced. The beginning of a large body is refused before the limit is reached.
    chunked = sent(world, route, pieces(whole + b" "))
    problem(chunked, 422, "invalid") if limit in TEXTS_OF else problem(chunked, 413, "too_large")
    assert parsed == []


@pytest.mark.parametrize("route", sorted(set(ROUTES) - set(LIMITS)))
def test_a_route_without_a_body_refuses_a_large_one_and_does_nothing(route: str, world: World) -> None:
    limit = limit_of(*route.split(" ", 1))
    for body in (b" " * (limit + 1), pieces(b" " * (limit + 1))):
        assert sent(world, route, body).status_code == 413
    assert request("GET /auth/me", {}, token=world.anna.tokens["access_token"]).status_code == 200


def test_a_body_is_refused_by_its_announced_length_alone() -> None:
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16385\r\n\r\n"
    assert raw(head).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "headers",
    [b"Content-Length: -1", b"Content-Length: x", b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: 1e3",
     b"Content-Length: " + b"9" * 5000, b"Content-Length: 2\r\nTransfer-Encoding: chunked"],
)  # fmt: skip
def test_a_length_that_is_none_is_refused(headers: bytes) -> None:
    answer = raw(b"POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n\r\n{}")
    assert answer.split(b" ", 2)[1] in (b"400", b"413")


def test_a_body_that_ends_early_is_not_acted_on(world: World) -> None:
    before = len(world.anna.call("GET", "/galleries").json()["items"])
    token = world.anna.tokens["access_token"].encode()
    raw(b"POST /galleries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token
        + b'\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"title": "half"}')  # fmt: skip
    assert len(world.anna.call("GET", "/galleries").json()["items"]) == before


# ---------------------------------------------------------------- Lambda


def event(route: str, body: bytes, *, encoded: bool = True) -> dict[str, Any]:
    """API Gateway's event; the length that it announces is a lie."""
    method, _, path = route.partition(" ")
    text = base64.b64encode(body).decode() if encoded else body.decode()
    return {
        "resource": path, "path": path, "httpMethod": method, "queryStringParameters": None, "body": text,
        "multiValueHeaders": {"Content-Type": ["application/json"], "Content-Length": ["1"]},
        "isBase64Encoded": encoded, "requestContext": {"identity": {"sourceIp": "192.0.2.1"}},
    }  # fmt: skip


@pytest.mark.parametrize("encoded", [True, False])
def test_lambda_refuses_a_large_body_before_it_is_decoded(
    encoded: bool, monkeypatch: pytest.MonkeyPatch, parsed: list[int]
) -> None:
    from functions.accounts.app import handler

    decoded: list[int] = []
    decode = base64.b64decode
    limit = LIMITS["POST /auth/login"]
    whole = event("POST /auth/login", b"{}".ljust(limit), encoded=encoded)
    large = event("POST /auth/login", b"{}".ljust(limit + 1), encoded=encoded)
    monkeypatch.setattr(base64, "b64decode", lambda text: decoded.append(len(text)) or decode(text))  # type: ignore[func-returns-value]  # counts
    answer = handler(large, None)
    assert (decoded, parsed) == ([], [])
    assert (answer["statusCode"], json.loads(decode(answer["body"]))["code"]) == (413, "too_large")
    assert answer["headers"]["x-content-type-options"] == "nosniff"
    assert handler(whole, None)["statusCode"] == 422
    assert parsed == [limit]


@pytest.mark.parametrize("encoded", [True, False])
def test_lambda_drops_the_encoded_body_once_it_is_decoded(encoded: bool) -> None:
    from functions.accounts.app import handler

    given = event("POST /auth/login", b"{}", encoded=encoded)
    assert handler(given, None)["statusCode"] == 422
    assert given["body"] is None


# ---------------------------------------------------------------- large bodies

BATCH_ROUTE = "POST /galleries/{gallery_id}/photos/batch"


def test_every_route_of_a_large_body_names_its_fields() -> None:
    assert {limit for limit in LIMITS.values() if limit >= jsonbody.BEGINNING} == set(TEXTS_OF)
    assert [route for route in LIMITS if LIMITS[route] == BATCH] == [BATCH_ROUTE]
    assert {name.decode() for name in TEXTS_OF[BATCH]} == {*PhotoBatch.model_fields, *KeyedPhoto.model_fields}


LARGE = {
    name: SHAPES[name](BATCH)
    for name in (
        "one long text",
        "escapes",
        "long texts",
        "a list of texts",
        "a list of escapes",
        "texts of digits",
        "unknown at the end",
    )
} | {
    "blanks": b" " * BATCH,
    "blanks inside": b'{"photos":[' + b" " * (BATCH - 13) + b"]}",
    "blanks after": b'{"photos":[]}'.ljust(BATCH),
    "a long number": b'{"photos":[' + b"9" * (BATCH - 13) + b"]}",
    "one text in an item": b'{"photos":[{"filename":"a","\\"":"' + b"x" * (BATCH - 40) + b'"}]}',
}


@pytest.mark.parametrize("name", sorted(LARGE))
def test_a_large_body_is_refused_by_its_form_before_it_is_parsed(name: str, world: World, parsed: list[int]) -> None:
    told = problem(sent(world, BATCH_ROUTE, LARGE[name]), 422, "invalid")
    wanted = {"long texts": "unknown field", "unknown at the end": "unknown field"}
    gap = "a long number" if name == "a long number" else "blanks"
    assert wanted.get(name, "blanks" if name.startswith(gap) else "A text is longer") in told["detail"]
    assert parsed == []


def test_a_large_body_is_refused_by_its_beginning() -> None:
    """The rest of it is never asked for, and 512 KiB are looked at once."""

    async def given(body: bytes, kind: bytes) -> int:
        asked = 0

        async def receiver() -> Any:
            nonlocal asked
            asked += 1
            piece = body[(asked - 1) * 65_536 : asked * 65_536]
            return {"type": "http.request", "body": piece, "more_body": asked * 65_536 < len(body)}

        with pytest.raises((largebody.Misshapen, largebody.NotJson)):
            await receive(receiver, [(b"content-type", kind)], BATCH)
        return asked

    assert asyncio.run(given(LARGE["long texts"], b"application/json")) == 8
    assert asyncio.run(given(LARGE["unknown at the end"], b"application/json")) == 64
    assert asyncio.run(given(b" " * BATCH, b"text/plain")) == 8


def test_a_large_body_that_is_not_json_is_refused_by_its_announced_length(world: World) -> None:
    token = world.anna.tokens["access_token"].encode()
    path = BATCH_ROUTE.removeprefix("POST ").format(**world.things).encode()
    told = raw(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token
               + b"\r\nContent-Type: text/plain\r\nContent-Length: 4194304\r\n\r\n")  # fmt: skip
    assert told.startswith(b"HTTP/1.1 415 ")
    assert b"application/json" in told


@pytest.mark.parametrize("cut", range(1, 40))
def test_where_the_beginning_ends_does_not_matter(cut: int) -> None:
    text = '{"filename": "x\\\\.jpg", "tags": ["a", "\\""]}'
    whole = ('{"photos": [' + ", ".join([text] * 15_000) + "]}").encode()
    shifted = b" " * cut + whole
    largebody._check(shifted[: jsonbody.BEGINNING], TEXTS_OF[BATCH], whole=False)
    largebody._check(shifted, TEXTS_OF[BATCH], whole=True)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("route", JSON_ROUTES)
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_hostile_body_is_refused_with_few_errors(
    route: str, shape: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safelight.web import problems

    made: list[int] = []
    message = problems._message
    monkeypatch.setattr(problems, "_message", lambda one: made.append(1) or message(one))  # type: ignore[func-returns-value]  # counts
    body = SHAPES[shape](min(LIMITS[route], 300_000))
    if not body:
        body = SHAPES["unknown fields"](LIMITS[route])
    told = problem(sent(world, route, body), 422, "invalid")
    assert 1 <= len(told["errors"]) <= problems._TOLD
    assert len(made) <= problems._TOLD
    assert len(json.dumps(told)) < 5000


def errors(model: Any, value: Any) -> list[Any]:
    """What pydantic makes of it."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_python(value)
    return list(caught.value.errors())


def bodies() -> list[type[BaseModel]]:
    """Every model of a request."""
    found: list[type[BaseModel]] = []
    waiting: list[type[BaseModel]] = [Body]
    while waiting:
        below = waiting.pop().__subclasses__()
        found += below
        waiting += below
    return found


def test_every_request_is_a_body_that_reports_few_unknown_fields() -> None:
    assert len(bodies()) >= 18
    for model in bodies():
        unknown = [
            one
            for one in errors(model, {f"u{number}": 1 for number in range(5000)})
            if one["type"] == "extra_forbidden"
        ]
        assert [one["loc"] for one in unknown] == [(f"u{number}",) for number in range(UNKNOWN_TOLD)], model
    for name in GROUPS:
        for route in importlib.import_module(f"functions.{name}.app").app.routes:
            field = route.body_field
            if field and "Form" not in type(field.field_info).__name__:
                parts = getattr(field.field_info.annotation, "__args__", (field.field_info.annotation,))
                assert all(issubclass(part, Body) for part in parts), route.path


def test_a_known_field_counts_wherever_it_stands_among_unknown_ones() -> None:
    given = {**{f"u{number}": 1 for number in range(100)}, "scopes": ["read"], "name": "x"}
    assert {one["type"] for one in errors(ApiKeyCreate, given)} == {"extra_forbidden"}


def test_items_and_lists_make_few_errors() -> None:
    bad = {**PHOTO, "tags": [1] * 50, **{f"u{number}": 1 for number in range(200)}}
    assert len(errors(PhotoBatch, {"photos": [bad] * 100})) == 100 * (UNKNOWN_TOLD + 1)
    assert [one["type"] for one in errors(PhotoBatch, {"photos": [1] * 10_000})] == ["too_long"]
    assert len(errors(ApiKeyCreate, {"name": "x", "scopes": [1] * 10_000})) == 1


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (json.dumps({"a": '\\"[,' * 20_000}).encode(), {"a": '\\"[,' * 20_000}),
        (json.dumps([",[{" * 100] * 200).encode(), [",[{" * 100] * 200),
        (json.dumps([1] * jsonbody.MAX_VALUES).encode(), [1] * jsonbody.MAX_VALUES),
        (json.dumps([{"a": ":"}] * jsonbody.MAX_FIELDS).encode(), [{"a": ":"}] * jsonbody.MAX_FIELDS),
    ],
)  # fmt: skip
def test_json_that_is_read(body: bytes, value: Any) -> None:
    assert jsonbody.parse(body) == value


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b'"\xff"', b'"\x00"', b"9" * 5000, b"[" * 20_000 + b"]" * 20_000, b"[1]]", b"'a'",
     '{"a": 1}'.encode("utf-16")],
)  # fmt: skip
def test_json_that_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 1 column|UTF-8|digits|deeply"):
        jsonbody.parse(body)


@pytest.mark.parametrize("unit", [b"1", b'"a"', b'"\\""', b"[]", b'{"a":{}}', b'"\\\\"'])
@pytest.mark.parametrize("where", [0, 600_000])
def test_too_many_values_never_reach_the_parser(unit: bytes, where: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    text = b",".join([b'"' + b"x" * 60_000 + b'"'] * (where // 60_000) + [unit] * (jsonbody.MAX_VALUES + 1))
    with pytest.raises(jsonbody.Outsized, match="30,000 values"):
        jsonbody.parse(b"[" + text + b"]")


def test_too_many_fields_never_reach_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(jsonbody.Outsized, match="2,000 fields"):
        jsonbody.parse(b"[" + b",".join([b'{"a":"\\":"}'] * (jsonbody.MAX_FIELDS + 1)) + b"]")


def test_a_full_batch_is_taken(world: World) -> None:
    """Texts of full length, as UTF-8 and with tags: nothing that a photographer may send is refused for its size."""
    photo = {
        **PHOTO,
        "title": "\N{CAMERA}" * 200,
        "description": "\N{CAMERA}," * 2500,
        "tags": [f"{n:060}" for n in range(50)],
    }
    body = json.dumps({"photos": [photo] * 100}, ensure_ascii=False).encode()
    route = "POST /galleries/{gallery_id}/photos/batch"
    assert len(body) < LIMITS[route]
    assert sent(world, route, body).status_code == 201


def test_a_description_of_escapes_is_taken(world: World) -> None:
    body = json.dumps({"description": '\N{CAMERA}"\\,[{' * 800})
    assert sent(world, "PATCH /galleries/{gallery_id}", body).status_code == 200


def test_what_is_refused_says_where_it_cannot_be_read(world: World) -> None:
    told = problem(sent(world, "POST /galleries", b'{"title": canary}'), 422, "invalid")
    assert told["errors"][0]["field"] == "body"
    assert "line 1 column 11" in told["errors"][0]["message"]
    assert "canary" not in json.dumps(told)
    assert client().get("/health").status_code == 200


# ---------------------------------------------------------------- marks

ZALGO = "a" + "\u0301" * MAX_MARKS


@pytest.mark.parametrize(
    "text",
    ["Tiếng Việt ở Huế", unicodedata.normalize("NFD", "Tiếng Việt ở Huế " * 50), "ที่นี่ น้ำ กำลัง " * 50,
     "हिन्दी में क्षत्रिय " * 50,
     "👩‍👩‍👧‍👦👍🏽🏳️‍🌈" * 50, "בְּרֵאשִׁית " * 50, ZALGO * 20, "\u0f73" * MAX_MARKS],
)  # fmt: skip
def test_scripts_with_combining_marks_are_taken(text: str) -> None:
    assert TypeAdapter(Description).validate_python(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("start", range(0, 70, 7))
@pytest.mark.parametrize("mark", ["\u0301", "\u0323\u0301", "\u0f73"])
def test_too_many_marks_are_refused_before_they_are_sorted(
    start: int, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a" * start + (mark * (MAX_MARKS + 1))[: MAX_MARKS + 1] + "b" * 50
    with monkeypatch.context() as patched:
        patched.setattr(unicodedata, "normalize", lambda *_: pytest.fail("normalised"))
        [told] = errors(Description, text)
    assert "at most 30 combining marks" in told["msg"]


def test_a_batch_of_marks_is_refused(world: World) -> None:
    photo = {**PHOTO, "description": "a" + "\u0301" * 2499 + "\u0323" * 2499}
    told = problem(sent(world, BATCH_ROUTE, json.dumps({"photos": [photo] * 60})), 422, "invalid")
    assert told["errors"][0]["field"] == "photos.0.description"
    assert "combining marks" in told["errors"][0]["message"]
