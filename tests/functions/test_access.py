"""Who may call what: every route of the product, generated, as nobody, as a stranger, and for what never was."""

from __future__ import annotations

import importlib
import uuid
from typing import Any

import pytest
from fastapi.routing import APIRoute

from safelight.web.deps import get_user
from safelight.web.owner import get_own
from safelight.web.visitor import get_visit
from tests.api import GROUPS, Photographer, client, jpeg, run_jobs
from tests.functions.support import problem, same, sql

ROUTES = sorted(
    (
        (method, route.path, route)
        for group in GROUPS
        for route in importlib.import_module(f"functions.{group}.app").app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ),
    key=lambda found: found[:2],
)
NAMES = [f"{method} {path}" for method, path, _ in ROUTES]

# What a request that owns the thing would send.
BODIES: dict[str, Any] = {
    "PATCH /galleries/{gallery_id}": {"title": "mine"},
    "POST /galleries/{gallery_id}/photos": {"filename": "x.jpg", "content_type": "image/jpeg", "file_size": 1},
    "POST /galleries/{gallery_id}/photos/batch": {
        "photos": [{"filename": "x.jpg", "content_type": "image/jpeg", "file_size": 1}]
    },
    "POST /galleries/{gallery_id}/share-links": {"label": "mine"},
    "PATCH /photos/{photo_id}": {"title": "mine"},
    "PATCH /share-links/{share_id}": {"revoked": True},
}
OPEN = {
    "POST /auth/register", "POST /auth/login", "POST /auth/token", "POST /auth/refresh", "POST /auth/logout",
    "GET /health", "HEAD /health", "GET /healthz",
    "GET /docs", "GET /docs/{asset}", "GET /assets/{asset}", "GET /openapi.json",
}  # fmt: skip


def asks(route: APIRoute, dependency: object) -> bool:
    """Whether this dependency is anywhere among the route's."""
    waiting = [route.dependant]
    while waiting:
        one = waiting.pop()
        if one.call is dependency:
            return True
        waiting += one.dependencies
    return False


def private(route: APIRoute) -> bool:
    """Whether it is a photographer's; the streaming function recognises her by a dependency of its own."""
    return asks(route, get_user) or asks(route, get_own)


@pytest.mark.parametrize(("method", "path", "route"), ROUTES, ids=NAMES)
def test_every_route_asks_who_is_there(method: str, path: str, route: APIRoute) -> None:
    """A route is open by name, a visitor's with a live link, or a photographer's: a new one must be one of them."""
    kinds = [f"{method} {path}" in OPEN, asks(route, get_visit), private(route)]
    assert kinds.count(True) == 1


@pytest.fixture(scope="module")
def anna(shared_api: str) -> Photographer:
    assert shared_api
    return Photographer.registered()


@pytest.fixture(scope="module")
def ben(shared_api: str) -> Photographer:
    assert shared_api
    return Photographer.registered()


@pytest.fixture(scope="module")
def things(anna: Photographer) -> dict[str, str]:
    """One of everything that has an id, all of it Anna's."""
    gallery = anna.gallery()["id"]
    photo = anna.upload(gallery)
    run_jobs()
    return {"gallery_id": gallery, "photo_id": photo, "share_id": anna.share(gallery)["share_id"], "name": "thumb"}


PRIVATE = [(method, path) for method, path, route in ROUTES if private(route)]
WITH_ID = [(method, path) for method, path in PRIVATE if "{" in path]


@pytest.mark.parametrize(("method", "path"), PRIVATE, ids=[" ".join(one) for one in PRIVATE])
def test_nobody_gets_in_without_a_token(method: str, path: str, things: dict[str, str]) -> None:
    answer = client().request(method, path.format(**things), json=BODIES.get(f"{method} {path}", {}))
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), WITH_ID, ids=[" ".join(one) for one in WITH_ID])
def test_a_strangers_request_is_answered_as_if_there_were_nothing(
    method: str, path: str, anna: Photographer, ben: Photographer, things: dict[str, str]
) -> None:
    nowhere = {**{name: str(uuid.uuid4()) for name in things}, "name": things["name"]}
    before = anna.photo(things["photo_id"]), anna.call("GET", f"/share-links/{things['share_id']}").json()
    for body in (BODIES.get(f"{method} {path}", {}), {"nonsense": 1}):
        foreign = ben.call(method, path.format(**things), json=body)
        missing = ben.call(method, path.format(**nowhere), json=body)
        problem(missing, 404, "not_found")
        assert same(foreign, missing)
    assert (anna.photo(things["photo_id"]), anna.call("GET", f"/share-links/{things['share_id']}").json()) == before


def test_the_owner_gets_through_on_the_very_same_requests(things: dict[str, str], anna: Photographer) -> None:
    """What makes the 404s above mean something; deletions last."""
    for method, path in sorted(WITH_ID, key=lambda one: (one[0] == "DELETE", -len(one[1]))):
        if method == "DELETE":
            continue
        answer = anna.call(method, path.format(**things), json=BODIES.get(f"{method} {path}", {}))
        assert answer.status_code in (200, 201, 307), (method, path, answer.text)
    for name in ("photo_id", "share_id", "gallery_id"):
        [path] = [path for method, path in WITH_ID if method == "DELETE" and name in path]
        assert anna.call("DELETE", path.format(**things)).status_code == 204


def test_a_visitor_reaches_only_the_photos_of_the_link(anna: Photographer) -> None:
    one, other = anna.gallery()["id"], anna.gallery()["id"]
    share, elsewhere = anna.share(one)["share_id"], anna.upload(other, jpeg())
    run_jobs()
    visitor = client()
    for path in ("photos", "download"):
        foreign = visitor.get(f"/s/{share}/{path}/{elsewhere}")
        missing = visitor.get(f"/s/{share}/{path}/{uuid.uuid4()}")
        problem(missing, 404, "not_found")
        assert same(foreign, missing)


def test_metrics_are_for_administrators(anna: Photographer) -> None:
    problem(anna.call("GET", "/metrics"), 403, "forbidden")
    boss = Photographer.registered()
    sql("UPDATE users SET is_admin = true WHERE email = :email", email=boss.email)
    answer = boss.call("GET", "/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    [(ready,)] = sql("SELECT count(*) FROM photos WHERE status = 'ready' AND deleted_at IS NULL")
    assert f'safelight_photos{{status="ready"}} {ready}\n' in answer.text
    assert 'safelight_jobs{kind="process_photo",status="completed"}' in answer.text
    assert "safelight_jobs_oldest_due_seconds 0.000" in answer.text
