"""Attacks by characters: paths that lead out, NUL and surrogates everywhere, names that only look different."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from safelight.web.policy import ROUTES as POLICY
from tests.api import PASSWORD, Photographer, client
from tests.functions.access import BODIES, World
from tests.functions.attacking import DOCUMENT, JSON_ROUTES, administered, raw
from tests.functions.support import problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")


@pytest.fixture(scope="module")
def world(shared_api: str) -> World:
    assert shared_api
    return administered()


@pytest.mark.parametrize("route", sorted(route for route in POLICY if "{" in route))
def test_no_path_leads_out_and_no_character_breaks_it(route: str, world: World) -> None:
    """Traversal in every variable of every path; NUL, line breaks, lone surrogates and endless names besides."""
    method, _, path = route.partition(" ")
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    hostile = (
        "..%2F..%2F..%2Fetc%2Fpasswd", "%2e%2e%2f%2e%2e%2fapp.py", "..%5C..%5Cboot.ini", "%00", "x%00.js",
        "a%0d%0aSet-Cookie:x=1",
        "%ED%A0%80", "%FF%FE", "%F0%9F%93%B7", "x" * 3000, "%27%20OR%201=1--", "%7B%7B7*7%7D%7D",
        "-1", "file:%2F%2F%2Fetc",
    )  # fmt: skip
    for name in names:
        for value in hostile:
            things = {**world.things, name: value}
            headers = {"Authorization": f"Bearer {world.anna.tokens['access_token']}"}
            options: dict[str, Any] = {"json": BODIES.get(route) or {}} if method in ("POST", "PUT", "PATCH") else {}
            answer = client().request(method, path.format(**things), headers=headers, **options)
            assert answer.status_code in (404, 405, 409, 422), (value, answer.status_code)
            assert "set-cookie" not in answer.headers or "x=1" not in answer.headers["set-cookie"]
            assert "root:" not in answer.text
            assert "import " not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../app.py",
        "/docs/../../../etc/passwd",
        "/assets/..;/app.py",
        "/s/../galleries",
        "/./health/../metrics",
    ],
)
def test_dots_are_not_followed(path: str) -> None:
    said = raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert b" 200 " not in said.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "header", ["X-Request-Id", "User-Agent", "Accept", "Range", "If-None-Match", "Cookie", "Origin"]
)
def test_no_header_is_given_back_as_a_line_of_its_own(header: str, world: World) -> None:
    for value in (b"a\rX-Evil: 1", b"a\nX-Evil: 1", b"a\r\n X-Evil: 1", b"\xff\xfe\x00", b"%0d%0aX-Evil: 1"):
        path = f"/s/{world.things['share_id']}".encode()
        said = raw(
            b"GET "
            + path
            + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + header.encode()
            + b": "
            + value
            + b"\r\n\r\n"
        )
        head = said.partition(b"\r\n\r\n")[0].lower()
        assert b"\nx-evil" not in head
        assert b" 500 " not in head.partition(b"\r\n")[0]


TEXTS = [
    "a\0b",
    "a\r\nX-Evil: 1",
    "\u202eexe.jpg",
    "\ufeff",
    "\U0001d54f" * 10,
    "e\u0301",
    "\x7f\x1b[2J",
    "'; DROP TABLE users; --",
]


SHAPES: tuple[Any, ...] = ({}, [], [{}], 1e308, -1, True, [None])


@pytest.mark.parametrize("route", JSON_ROUTES)
def test_no_text_in_any_field_breaks_anything(route: str, world: World) -> None:
    """NUL, line breaks, escapes and lone surrogates in every field; what is taken can be read again."""
    method, _, path = route.partition(" ")
    schema = DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    models = [DOCUMENT["components"]["schemas"][one["$ref"].rsplit("/", 1)[1]] for one in schema.get("anyOf", [schema])]
    url = path.format(**world.things)
    for name in sorted(
        {name for model in models for name in model["properties"]} - {"revoked", "is_active", "is_admin"}
    ):
        bodies = [json.dumps({**BODIES.get(route, {}), name: text}) for text in TEXTS]
        bodies += [json.dumps({**BODIES.get(route, {}), name: value}) for value in SHAPES]
        bodies.append(json.dumps({**BODIES.get(route, {}), name: "x"}).replace('"x"', '"\\ud800"'))
        for body in bodies:
            if (route, name) == ("POST /auth/password", "new_password"):
                continue  # it is right, and would end the session
            answer = client().request(
                method,
                url,
                content=body,
                headers={
                    "Content-Type": "application/json",
                    "Authorization": f"Bearer {world.anna.tokens['access_token']}",
                },
            )
            assert answer.status_code < 500, (name, body)
            assert b"\\ud800" not in answer.content
    for route in ("/galleries", f"/galleries/{world.things['gallery_id']}/photos", "/auth/me"):
        assert world.anna.call("GET", route).status_code == 200


@pytest.mark.parametrize(
    "query", ["%00", "%ED%A0%80", "%FF", "a%0D%0Ab", "x" * 5000, "%F0%9F%93%B7", "1e3", "-1", "true"]
)
def test_no_text_in_any_parameter_breaks_anything(query: str, world: World) -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            for name in names:
                url = f"{path.format(**world.things)}?{name}={query}"
                headers = {"Authorization": f"Bearer {world.anna.tokens['access_token']}"}
                answer = client().request(method.upper(), url, headers=headers)
                assert answer.status_code < 500, (method, url)


def test_twins_by_case_or_normal_form_are_one_name() -> None:
    """Otherwise a second account, or a second link, could be taken for the first."""
    name = uuid.uuid4().hex[:8]
    composed, decomposed = f"zo\u00eb{name}@example.com", f"zoe\u0308{name}@example.com"
    twins = (decomposed, composed.upper(), f" {composed} ", f"ZOE\u0308{name}@EXAMPLE.COM")
    assert client().post("/auth/register", json={"email": composed, "password": PASSWORD}).status_code == 201
    for twin in twins:
        body = {"email": twin, "password": PASSWORD}
        problem(client().post("/auth/register", json=body), 409, "name_taken")
        assert client().post("/auth/login", json=body).status_code == 200, twin
    host = f"{name}@b\u00fccher.example"
    assert client().post("/auth/register", json={"email": host, "password": PASSWORD}).status_code == 201
    punycode = f"{name}@xn--bcher-kva.example"
    problem(client().post("/auth/register", json={"email": punycode, "password": PASSWORD}), 409, "name_taken")
    anna = Photographer.registered()
    gallery, slug = anna.gallery()["id"], f"summer-{name}"
    share = anna.share(gallery, slug=slug)["share_id"]
    wide = "".join(chr(ord(one) + 0xFEE0) if one.isalpha() else one for one in slug)
    for twin in (slug.upper(), wide, slug.replace("s", "\u017f", 1), f"{slug}\u200b", f" {slug}"):
        problem(anna.call("POST", f"/galleries/{gallery}/share-links", json={"slug": twin}), 422, "invalid")
    assert client().get(f"/s/{slug.upper()}").status_code == 200
    assert client().get(f"/s/{wide}").status_code == 404
    assert sql("SELECT count(*) FROM share_links WHERE gallery_id = cast(:id AS uuid)", id=gallery) == [(1,)]
    assert share
