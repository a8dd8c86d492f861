"""What was done to other galleries, each a test of its own: passwords, grants, revoked links, fields nobody offered."""

from __future__ import annotations

import datetime as dt
import hmac
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from safelight import storage
from safelight.clock import now
from safelight.shares import visits
from safelight.web.policy import ROUTES as POLICY
from tests.api import PASSWORD, Photographer, client, jpeg, run_jobs
from tests.functions.access import BODIES, LINK_PASSWORD, World, request
from tests.functions.attacking import administered
from tests.functions.support import in_parallel, problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")

VISITOR = sorted(route for route, access in POLICY.items() if access == "visitor" and not route.endswith("/unlock"))
# `make fuzz` takes its time.
RACES = 100 if os.environ.get("FUZZ") else 4


@pytest.fixture(scope="module")
def world(shared_api: str) -> World:
    assert shared_api
    return administered()


def link(world: World, **policy: Any) -> str:
    return str(world.anna.share(world.things["gallery_id"], **policy)["share_id"])


def ask(route: str, share: str, world: World, browser: httpx.Client | None = None, **options: Any) -> httpx.Response:
    """A visitor's request."""
    method, _, path = route.partition(" ")
    if method in ("POST", "PUT"):
        options = {"json": BODIES.get(route) or {}, **options}
    url = path.format(share_id=share, photo_id=world.things["photo_id"])
    return (browser or client()).request(method, url, **options)


def unlocked(share: str, password: str = LINK_PASSWORD) -> httpx.Client:
    """A browser that knows the password."""
    browser = client()
    assert browser.post(f"/s/{share}/unlock", json={"password": password}).status_code == 204
    return browser


# ---------------------------------------------------------------- passwords and grants


@pytest.mark.parametrize("route", VISITOR)
def test_the_password_is_asked_on_every_path_and_nothing_else_stands_for_it(route: str, world: World) -> None:
    """Elsewhere thumbnails, single photos, the ZIP or its status were to be had without it."""
    share = link(world, password=LINK_PASSWORD)
    size = "thumb" if route.endswith("/photos/{photo_id}") else "web"
    stranger: list[dict[str, Any]] = [
        {},
        {"params": {"password": LINK_PASSWORD, "token": LINK_PASSWORD, "size": size, "selection": str(uuid.uuid4())}},
        {"headers": {"X-Share-Password": LINK_PASSWORD, "X-Password": LINK_PASSWORD}},
        {"headers": {"Authorization": "Basic OmNha2UgYW5kIHdpbmU="}},
        {"headers": {"Cookie": f"grant_{uuid.UUID(share).hex}={LINK_PASSWORD}; password={LINK_PASSWORD}"}},
        {"headers": {"Range": "bytes=1-"}},
        {"headers": {"User-Agent": "WhatsApp/2.0"}},
        # Not even the photographer's own token is a grant.
        {"headers": {"Authorization": f"Bearer {world.anna.tokens['access_token']}"}},
    ]
    for options in stranger:
        answer = ask(route, share, world, **options)
        assert answer.status_code == 401, options
        if not route.startswith("HEAD "):
            problem(answer, 401, "password_required")
        told = answer.text + str(answer.headers)
        assert not any(word in told for word in ("X-Amz", "IMG_", "Anna", "photo.jpg", world.things["gallery_id"]))
        assert "set-cookie" not in answer.headers
    assert ask(route, share, world, unlocked(share)).status_code in (200, 307, 409)


def test_a_page_of_a_locked_link_holds_nothing_of_it(world: World) -> None:
    locked, opened = (link(world, **policy) for policy in ({"password": LINK_PASSWORD}, {}))
    pages = [client().get(f"/s/{share}", headers={"Accept": "text/html"}) for share in (locked, opened)]
    assert [page.status_code for page in pages] == [200, 200]
    assert pages[0].content == pages[1].content
    assert all("Anna" not in page.text and "X-Amz" not in page.text for page in pages)


@pytest.mark.parametrize("route", VISITOR)
def test_a_grant_of_one_link_opens_no_other(route: str, world: World) -> None:
    mine, other = (link(world, password=LINK_PASSWORD) for _ in range(2))
    browser = unlocked(mine)
    [value] = [cookie.value for cookie in browser.cookies.jar]
    names = (f"grant_{uuid.UUID(mine).hex}", f"grant_{uuid.UUID(other).hex}", "grant_", "grant")
    for name in names:
        assert ask(route, other, world, headers={"Cookie": f"{name}={value}"}).status_code == 401
    everything = "; ".join(f"{name}={value}" for name in names)
    assert ask(route, other, world, headers={"Cookie": everything}).status_code == 401
    assert ask(route, mine, world, headers={"Cookie": everything}).status_code in (200, 307, 409)


def test_a_selection_of_one_link_is_none_of_another(world: World) -> None:
    one, other = link(world), link(world)
    browser = client()
    assert browser.put(f"/s/{one}/favourites/{world.things['photo_id']}").status_code == 200
    chosen = browser.get(f"/s/{one}/favourites").json()["selection_id"]
    for route in ("GET", "HEAD"):
        for path in ("", "/status", "/manifest"):
            if f"{route} /s/{{share_id}}/download/all{path}" in POLICY:
                got = client().request(route, f"/s/{other}/download/all{path}", params={"selection": chosen})
                assert got.status_code == 404


def test_a_password_or_grant_is_never_in_an_address(world: World) -> None:
    share = link(world, password=LINK_PASSWORD)
    browser = unlocked(share)
    [grant] = [cookie.value or "-" for cookie in browser.cookies.jar]
    for route in VISITOR:
        answer = ask(route, share, world, browser, headers={"Accept": "application/json"})
        told = answer.text + answer.headers.get("location", "")
        assert grant not in told
        assert "cake" not in told, route
    shown = world.anna.call("GET", f"/share-links/{share}").text
    assert "cake" not in shown
    assert "$2b$" not in shown


def test_the_grant_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    share = uuid.UUID(link(world, password=LINK_PASSWORD))
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    wrong = f"{int(now().timestamp()) + 60}.guess"
    assert ask("GET /s/{share_id}", str(share), world, headers={"Cookie": f"grant_{share.hex}={wrong}"}).is_error
    assert [one for one, _ in compared] == [b"guess"]


# ---------------------------------------------------------------- revoked links


def signed(url: str) -> tuple[int, dt.datetime]:
    """For how many seconds and since when."""
    query = parse_qs(urlsplit(url).query)
    [expires], [date] = query["X-Amz-Expires"], query["X-Amz-Date"]
    return int(expires), dt.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)


def test_a_revoked_link_is_nothing_at_once_and_its_pictures_soon(world: World) -> None:
    share = link(world, password=LINK_PASSWORD)
    browser = unlocked(share)
    [listed] = browser.get(f"/s/{share}").json()["photos"]
    photo = world.things["photo_id"]
    full = [browser.get(f"/s/{share}/{way}/{photo}").headers["location"] for way in ("photos", "download")]
    moment = now()
    for url in full:
        seconds, since = signed(url)
        assert seconds <= 120
        assert since <= moment
    for url in (listed["thumbnail_url"], listed["preview_url"]):
        seconds, since = signed(url)
        # Signed at the last five minutes' mark: the same string for a browser's cache, and never longer than this.
        assert since.timestamp() % visits.PICTURE_QUANTUM == 0
        assert since + dt.timedelta(seconds=seconds) <= moment + dt.timedelta(minutes=15)
    assert listed["full_url"] == f"/s/{share}/photos/{photo}"  # a path, which is asked again
    assert world.anna.call("PATCH", f"/share-links/{share}", json={"revoked": True}).status_code == 200
    for route in VISITOR:
        assert ask(route, share, world, browser).status_code == 404, route
    assert browser.post(f"/s/{share}/unlock", json={"password": LINK_PASSWORD}).status_code == 404


@pytest.mark.parametrize(
    ("seconds", "quantum"), [(visits.FULL_SECONDS, 1), (visits.PICTURE_SECONDS, visits.PICTURE_QUANTUM)]
)
def test_the_store_refuses_an_address_that_ran_out(seconds: int, quantum: int, world: World) -> None:
    [(key,)] = sql("SELECT s3_key FROM photos WHERE id = cast(:id AS uuid)", id=world.things["photo_id"])
    sign = storage.signer()
    fresh = sign.get_urls(seconds, quantum=quantum)(key)
    late = sign.get_urls(seconds, now=time.time() - seconds - 5)(key)
    assert httpx.get(fresh, verify=False).status_code == 200
    assert httpx.get(late, verify=False).status_code == 403
    longer = fresh.replace(f"X-Amz-Expires={seconds}", f"X-Amz-Expires={seconds + 1}")
    other = fresh.replace(key, "renditions/other.jpg")
    for forged in (longer, other, fresh.partition("?")[0], fresh + "&versionId=1", fresh[:-1]):
        assert httpx.get(forged, verify=False).status_code in (400, 403), forged


# ---------------------------------------------------------------- fields that nobody offered

# What an attacker would like to set, with a value that would hurt.
WISHES: dict[str, Any] = {
    "id": str(uuid.uuid4()), "user_id": str(uuid.uuid4()), "owner_id": str(uuid.uuid4()), "is_admin": True,
    "is_active": True, "status": "ready", "policy_version": 1, "views": 0, "single_downloads": 0, "zip_downloads": 0,
    "password_hash": "x", "gallery_id": str(uuid.uuid4()), "s3_key": "originals/x", "etag": "x", "sha256": "0" * 64,
    "deleted_at": None, "created_at": "2020-01-01T00:00:00Z", "revoked_at": None, "key_hash": "00", "prefix": "00",
    "role": "admin", "__proto__": {"is_admin": True}, "constructor": 1, "$where": "1", "scope": "admin",
}  # fmt: skip
TABLES = ("users", "galleries", "photos", "share_links", "api_keys", "selections", "analyses", "refresh_tokens", "jobs",
          "invitations")  # fmt: skip
EVERYTHING = " UNION ALL ".join(
    f"SELECT '{table}', count(*), md5(string_agg(to_jsonb(t)::text, ',' ORDER BY to_jsonb(t)::text)) FROM {table} t"
    for table in TABLES
)
REQUESTS = {
    **BODIES,
    "POST /auth/register": {"email": "mass@example.com", "password": PASSWORD},
    "POST /auth/login": {"email": "mass@example.com", "password": PASSWORD},
    "POST /auth/refresh": {"refresh_token": "none"},
    "POST /auth/logout": {"refresh_token": "none"},
    "POST /s/{share_id}/selection": {"note": "these"},
}


def with_bodies() -> Iterator[tuple[str, set[str]]]:
    """Every route that takes JSON, and the names of its fields, from the API's own description."""
    from safelight.web.docs import openapi

    document = json.loads(openapi())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in content:
                continue
            schema = content["application/json"]["schema"]
            found = [one for one in schema.get("anyOf", [schema]) if "$ref" in one]
            models = [document["components"]["schemas"][one["$ref"].rsplit("/", 1)[1]] for one in found]
            assert models
            assert all(model["additionalProperties"] is False for model in models), (method, path)
            yield f"{method.upper()} {path}", {name for model in models for name in model["properties"]}


FIELDS = dict(with_bodies())


def test_every_route_with_a_body_is_tried() -> None:
    assert set(FIELDS) <= set(REQUESTS)
    assert len(FIELDS) >= 17


@pytest.mark.parametrize("route", sorted(FIELDS))
def test_a_field_that_is_not_offered_is_refused_and_changes_nothing(route: str, world: World) -> None:
    """Mass assignment: elsewhere a body made its sender somebody's owner, or an administrator."""
    token = world.anna.tokens["access_token"]
    before = sql(EVERYTHING)
    for name in sorted(WISHES.keys() - FIELDS[route]):
        answer = request(route, world.things, token=token, body={**REQUESTS[route], name: WISHES[name]})
        told = problem(answer, 422, "invalid")["errors"]
        assert any("Extra inputs" in one["message"] for one in told), (name, told)
    nested = {**REQUESTS[route], "user": WISHES}
    problem(request(route, world.things, token=token, body=nested), 422, "invalid")
    assert sql(EVERYTHING) == before
    # In the address they are nothing at all: what is refused above is not taken here.
    assert sql("SELECT count(*) FROM users WHERE is_admin") == [(1,)]


def test_a_key_cannot_raise_its_own_scope(world: World) -> None:
    key = world.keys["read"]
    body = {"name": "wider", "scopes": ["admin"]}
    for method, path in (("POST", "/auth/api-keys"), ("PATCH", f"/auth/api-keys/{world.things['key_id']}")):
        answer = client().request(method, path, headers={"X-API-Key": key, "X-Scope": "admin"}, json=body)
        assert answer.status_code in (403, 404, 405)
    for forged in (key + "admin", key.upper(), f"{key},{world.keys['admin']}", key.replace("sl_", "sl_admin_")):
        answer = client().get("/admin/users", headers={"X-API-Key": forged})
        assert answer.status_code == 401
    both = [("X-API-Key", key), ("X-API-Key", world.keys["admin"])]
    assert client().get("/admin/users", headers=both).status_code == 400
    query = {"api_key": world.keys["admin"], "key": world.keys["admin"], "access_token": world.keys["admin"]}
    assert client().get("/admin/users", params=query).status_code == 401  # a key in an address is none
    [(scopes,)] = sql("SELECT scopes FROM api_keys WHERE prefix = :prefix", prefix=key[3:11])
    assert scopes == ["read"]


# ---------------------------------------------------------------- limits


def status(browser: httpx.Client, path: str, visitor: int) -> int:
    return browser.get(path, headers={"User-Agent": f"visitor {visitor}"}).status_code


def test_a_limit_holds_in_every_race(world: World) -> None:
    """Two hundred at once, again and again: never one too many, and never one too few."""
    photo = world.things["photo_id"]
    for turn in range(RACES):
        most = 1 + turn % 17
        share = link(world, max_downloads=most)
        path = f"/s/{share}/download/{photo}"
        # Connections that lay idle between two turns might just be closed by the server.
        with client(keeps_cookies=False) as browser:
            statuses = in_parallel(200, partial(status, browser, path), threads=200)
        assert Counter(statuses) == {307: most, 403: 200 - most}
        shown = world.anna.call("GET", f"/share-links/{share}").json()
        assert (shown["single_downloads"], shown["zip_downloads"]) == (most, 0)


def test_what_is_deleted_is_gone_from_every_path_and_what_is_new_is_not_in_a_running_archive(shared_api: str) -> None:
    """A running archive is the plan at its start: whole, with what was there then, and with nothing that came later."""
    assert shared_api
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    files = [jpeg() + os.urandom(2_000_000) for _ in range(3)]
    photos = [anna.upload(gallery, data, filename=f"IMG_{n}.jpg") for n, data in enumerate(files)]
    run_jobs()
    share = str(anna.share(gallery)["share_id"])
    browser = client()
    with browser.stream("GET", f"/s/{share}/download/all") as running:
        pieces = running.iter_bytes(4096)
        head = next(pieces)
        assert anna.call("DELETE", f"/photos/{photos[2]}").status_code == 204
        anna.upload(gallery, filename="HIDDEN.jpg")
        late = anna.announce(gallery, jpeg(), filename="PENDING.jpg")["photo"]["id"]
        run_jobs()
        whole = head + b"".join(pieces)
    assert len(whole) == int(running.headers["content-length"])
    assert all(data in whole for data in files)
    assert not any(name in whole for name in (b"HIDDEN.jpg", b"PENDING.jpg"))
    # The next request is asked anew, and a part of the old archive cannot be continued with the new one.
    for photo in (photos[2], late):
        for method, path in (("GET", "photos"), ("GET", "download"), ("PUT", "favourites"), ("DELETE", "favourites")):
            problem(browser.request(method, f"/s/{share}/{path}/{photo}"), 404, "not_found")
    listed = [one["photo_id"] for one in browser.get(f"/s/{share}").json()["photos"]]
    assert photos[2] not in listed
    manifest = browser.get(f"/s/{share}/download/all/manifest").text
    assert "IMG_2.jpg" not in manifest
    assert "HIDDEN.jpg" in manifest
    rest = browser.get(f"/s/{share}/download/all", headers={"Range": "bytes=100-", "If-Range": running.headers["etag"]})
    assert rest.status_code == 200
    assert files[2] not in rest.content
