"""Attacks on the protocol: forged hosts, other sites, caches, methods, encodings, bodies that are bombs."""

from __future__ import annotations

import importlib
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from local.events import to_answer
from safelight.config import settings
from safelight.web.policy import ROUTES as POLICY
from tests import product
from tests.api import GROUPS, PASSWORD, client
from tests.functions.access import BODIES, LINK_PASSWORD, World, request
from tests.functions.attacking import JSON_ROUTES, administered, raw
from tests.functions.support import problem

pytestmark = pytest.mark.usefixtures("shared_api")

EVIL = "evil.example"
# A GET of each route that is allowed, with what it is allowed by.
READING = sorted(route for route in POLICY if route.startswith(("GET ", "HEAD ")))
PUBLIC = ("/docs", "/docs/{asset}", "/assets/{asset}", "/openapi.json", "/join")


@pytest.fixture(scope="module")
def world(shared_api: str) -> World:
    assert shared_api
    return administered()


def ask(route: str, world: World, **headers: str) -> httpx.Response:
    """As the photographer, who is an administrator here."""
    method, _, path = route.partition(" ")
    given = {"Authorization": f"Bearer {world.anna.tokens['access_token']}", **headers}
    return client().request(method, path.format(**world.things), headers=given)


# ---------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    "forged",
    [
        {"Host": EVIL},
        {"X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"},
        {"Forwarded": f"for=1.2.3.4;host={EVIL};proto=https"},
        {"X-Original-URL": f"https://{EVIL}/", "X-Rewrite-URL": f"https://{EVIL}/", "X-Forwarded-Prefix": f"/{EVIL}"},
        {"X-Host": EVIL, "X-Forwarded-Server": EVIL},
    ],
    ids=lambda forged: "+".join(forged),
)
def test_a_forged_host_gets_into_no_link_redirect_or_cookie(
    forged: dict[str, str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = world.things["gallery_id"]
    made = world.anna.call("POST", f"/galleries/{gallery}/share-links", json={"password": "open"}, headers=forged)
    assert made.json()["url"] == f"{product.BASE_URL}/s/{made.json()['share_id']}"
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", "1")  # so that the archive has a status, and an address of its own
    answers = [made, *(ask(route, world, **forged) for route in READING)]
    body = {"email": world.anna.email, "password": PASSWORD}
    answers.append(client().post("/auth/login", json=body, headers=forged))
    answers.append(client().post(f"/s/{made.json()['share_id']}/unlock", json={"password": "open"}, headers=forged))
    answers.append(client().put(f"/s/{world.things['share_id']}/favourites/{world.things['photo_id']}", headers=forged))
    for answer in answers:
        assert EVIL not in answer.text + str(answer.headers), answer.request.url
        where = answer.headers.get("location")
        if where:
            assert where.startswith("/") or urlsplit(where).netloc == urlsplit(settings().s3_endpoint or "").netloc
        cookie = answer.headers.get("set-cookie", "").lower()
        assert "domain" not in cookie
        assert "secure" not in cookie  # a forged scheme makes no HTTPS of it


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "a.example"), ("Host", "b.example")],
        *([("Host", host)] for host in (f"{EVIL}:80@127.0.0.1", "a:b", "a:80:80", "[::1", "a b", "")),
        [("Host", "a.example"), ("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
        [("Host", "a.example"), ("X-API-Key", "a"), ("X-Api-Key", "b")],
        [("Host", "a.example"), ("Content-Type", "text/plain"), ("Content-Type", "application/json")],
        [("Host", "a.example"), ("Content-Length", "2"), ("Content-Length", "3")],
        [("Host", "a.example"), ("Content-Length", "many")],
    ],
    ids=repr,
)
def test_malformed_headers_are_the_clients_mistake_in_every_handler(
    headers: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """As events of Lambda: on AWS there is no gateway of ours before the functions."""
    for name in GROUPS:
        handler = getattr(importlib.import_module(f"functions.{name}.app"), "handler", None)
        if handler is None:
            continue  # the streaming one, which gets HTTP
        problem(answered(handler, headers), 400, "unreadable")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("host", ["a.example", "a.example:8000", "[::1]:8000", "[2001:db8::1]"])
def test_a_handler_takes_every_kind_of_host(host: str) -> None:
    handler = importlib.import_module("functions.operations.app").handler
    assert answered(handler, [("Host", host), ("X-Forwarded-Port", "none")]).status_code == 404


def answered(handler: Callable[[dict[str, Any], Any], Any], headers: list[tuple[str, str]]) -> httpx.Response:
    """What a Lambda handler answers to a request for nothing with these headers."""
    several: dict[str, list[str]] = {}
    for name, value in headers:
        several.setdefault(name, []).append(value)
    event = {
        "resource": "/nothing",
        "path": "/nothing",
        "httpMethod": "GET",
        "headers": {name: values[-1] for name, values in several.items()},
        "multiValueHeaders": several,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}, "requestId": str(uuid.uuid4())},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = to_answer(handler(event, None), binary=True)
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


def test_nothing_redirects_to_where_its_caller_says(world: World) -> None:
    """Open redirects."""
    wanted = dict.fromkeys(("next", "url", "redirect", "redirect_uri", "return", "to", "u"), f"https://{EVIL}/")
    for route in READING:
        path = route.partition(" ")[2].format(**world.things)
        headers = {"Authorization": f"Bearer {world.anna.tokens['access_token']}"}
        answer = client().get(path, params=wanted, headers=headers)
        assert EVIL not in urlsplit(answer.headers.get("location", "")).netloc, route
    for path in (f"//{EVIL}/", f"/{EVIL}//..", f"/s//{EVIL}", "/galleries/", "/docs/", f"/\\{EVIL}", f"/%2f{EVIL}"):
        head = raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()).lower()
        assert b"\nlocation" not in head, path
        assert b" 404 " in head.partition(b"\r\n")[0], path


# ---------------------------------------------------------------- other sites, frames, caches


@pytest.mark.parametrize("route", sorted(POLICY))
def test_no_other_site_may_read_frame_or_sniff_an_answer_and_no_cache_keeps_what_is_personal(
    route: str, world: World
) -> None:
    method, _, path = route.partition(" ")
    headers = {"Origin": f"https://{EVIL}", "Access-Control-Request-Method": method}
    preflight = client().request("OPTIONS", path.format(**world.things), headers=headers)
    assert preflight.status_code in (404, 405)
    answers = [preflight, request(route, world.things)]
    if method in ("GET", "HEAD"):
        answers += [ask(route, world, Origin=f"https://{EVIL}"), ask(route, world, Accept="text/html")]
    for answer in answers:
        assert not any(name.startswith("access-control-") for name in answer.headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        page = answer.headers.get("content-type", "").startswith("text/html")
        policy = answer.headers.get("content-security-policy", "")
        if page:
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "script-src 'self'" in policy
            assert "'unsafe-inline'" not in policy.replace("style-src 'self' 'unsafe-inline'", "")
            assert path == "/docs" or "unsafe" not in policy
        kept = {part.strip() for part in answer.headers["cache-control"].split(",")}
        if answer.is_error or path not in PUBLIC:
            personal = {"private", "no-store"} & kept
            shell = page and kept == {"no-cache"} and "accept" in answer.headers["vary"].lower()
            assert personal or shell, (route, kept)
            assert not {"public", "s-maxage"} & kept


def test_a_form_of_another_site_signs_nobody_in(world: World) -> None:
    """Login CSRF: the victim would upload her photos to the attacker's account."""
    body = {"username": world.anna.email, "password": PASSWORD}
    for origin in (f"https://{EVIL}", "null", f"{product.BASE_URL}.{EVIL}"):
        for answer in (
            client().post("/auth/token", data=body, headers={"Origin": origin}),
            client().post("/auth/login", json=body, headers={"Origin": origin}),
        ):
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers
    for headers in ({}, {"Origin": product.BASE_URL}):
        answer = client().post("/auth/token", data=body, headers=headers)
        assert "safelight_refresh=" in answer.headers["set-cookie"]
    twice = [("Origin", product.BASE_URL), ("Origin", f"https://{EVIL}")]
    assert "set-cookie" not in client().post("/auth/token", data=body, headers=twice).headers


@pytest.mark.parametrize("secure", [False, True])
def test_every_cookie_is_for_this_host_and_no_script(
    secure: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = world.anna.share(world.things["gallery_id"], password=LINK_PASSWORD)["share_id"]
    opened, photo = world.things["share_id"], world.things["photo_id"]
    if secure:
        monkeypatch.setenv("BASE_URL", "https://photos.example")
        settings.cache_clear()
    try:
        cookies = [
            answer.headers["set-cookie"]
            for answer in (
                client().post("/auth/login", json={"email": world.anna.email, "password": PASSWORD}),
                client().post(f"/s/{share}/unlock", json={"password": LINK_PASSWORD}),
                client().put(f"/s/{opened}/favourites/{photo}"),
            )
        ]
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    for cookie in cookies:
        flags = cookie.lower().split("; ")[1:]
        assert "httponly" in flags
        assert ("secure" in flags) is secure
        assert any(flag in ("samesite=strict", "samesite=lax") for flag in flags)
        assert not any(flag.startswith("domain") for flag in flags)


# ---------------------------------------------------------------- methods, parameters, types


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_header_changes_no_method(method: str, world: World) -> None:
    gallery = world.anna.gallery()["id"]
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"):
        path = f"/galleries/{gallery}?_method=DELETE&X-HTTP-Method-Override=DELETE"
        answer = world.anna.call(
            method, path, headers={name: "DELETE"}, data={"_method": "DELETE"} if method == "POST" else None
        )
        assert answer.status_code in (200, 404, 405)
    assert world.anna.call("GET", f"/galleries/{gallery}").status_code == 200


def test_a_parameter_given_twice_is_decided_as_it_is_used(world: World) -> None:
    gallery = world.things["gallery_id"]
    web, locked = (
        world.anna.share(gallery, **policy)["share_id"] for policy in ({"download": "web"}, {"password": "open"})
    )
    for query in ("size=web&size=original", "size=original&size=web", "size=web&size=", "size[]=original"):
        answer = client().get(f"/s/{web}/download/all?{query}")
        assert answer.status_code in (200, 403, 422)
        if answer.is_success:
            assert "(web size)" in answer.headers["content-disposition"]
    assert client().get(f"/s/{locked}/download/all?selection=mine&selection=").status_code == 401
    for query in ("limit=1&limit=100000", "limit=100000&limit=1", "cursor=x&cursor="):
        assert client().get(f"/s/{web}?{query}").status_code in (200, 422)


@pytest.mark.parametrize("route", JSON_ROUTES)
def test_a_body_of_another_type_is_not_read_as_json(route: str, world: World) -> None:
    """A form of another site can send JSON as text/plain, which asks nobody for permission."""
    method, _, path = route.partition(" ")
    body = json.dumps(BODIES.get(route, {"refresh_token": "x", "email": "x@example.com", "password": PASSWORD}))
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""):
        answer = world.anna.call(method, path.format(**world.things), content=body, headers={"Content-Type": kind})
        problem(answer, 422, "invalid")


def test_bombs_cost_their_sender_and_tell_nothing_back(world: World) -> None:
    """A body of megabytes is refused in a few lines, however it is built."""
    bombs = {
        "deep lists": b'{"title":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "deep objects": b'{"title":' * 100_000 + b"1" + b"}" * 100_000,
        "long text": json.dumps({"title": "x" * 10_000_000}).encode(),
        "many fields": json.dumps({f"f{n}": 1 for n in range(200_000)}).encode(),
        "one long field": json.dumps({"x" * 5_000_000: 1}).encode(),
        "the same field": b'{"title":"x"' + b',"title":"x"' * 500_000 + b',"other":1}',
        "a long number": b'{"title":' + b"9" * 1_000_000 + b"}",
        "a huge exponent": b'{"title":1e999999999}',
        "not a number": b'{"title":NaN}',
    }
    for name, body in bombs.items():
        answer = world.anna.call("POST", "/galleries", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 413, 422), name
        assert answer.headers["content-type"] == "application/problem+json", name
        assert len(answer.content) < 5000, name
    tags = {"filename": "x.jpg", "content_type": "image/jpeg", "file_size": 1, "tags": ["x"] * 40_000}
    answer = world.anna.call("POST", f"/galleries/{world.things['gallery_id']}/photos", json=tags)
    assert answer.status_code == 422
    assert len(answer.content) < 5000
