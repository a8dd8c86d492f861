"""Who may call what: the access-policy table against every route, as everybody."""

from __future__ import annotations

import importlib
import uuid

import pytest
from fastapi.routing import APIRoute

from safelight.web.deps import get_admin, get_caller, get_confirmed
from safelight.web.owner import get_own
from safelight.web.policy import ROUTES as POLICY
from safelight.web.visitor import get_visit
from tests.api import GROUPS, Photographer, client, jpeg, run_jobs
from tests.functions.access import BODIES, LINK_PASSWORD, SCOPES, World, age_confirmation, promote, request
from tests.functions.support import problem, same, sql

ROUTES = {
    f"{method} {route.path}": route
    for group in GROUPS
    for route in importlib.import_module(f"functions.{group}.app").app.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
}
PRIVATE = sorted(route for route, access in POLICY.items() if access not in ("open", "visitor"))
WITH_ID = [route for route in PRIVATE if "{" in route]
VISITOR = sorted(route for route, access in POLICY.items() if access == "visitor")
# After one of these there is nothing left to ask for.
FINAL = {route for route in PRIVATE if route.startswith("DELETE ")} | {"POST /auth/password"}
ADMINISTRATORS = ("metrics", "operate", "admin", "administer")
# Which keys open a row; the others are opened by no key.
OPENED_BY = {"read": {"read"}, "upload": {"upload"}, "share": {"share"}, "metrics": {"metrics", "admin"},
             "operate": {"operate", "admin"}, "admin": {"admin"}}  # fmt: skip
CONFIRMED = {route for route in PRIVATE if POLICY[route] in ("confirmed", "administer")} | {"PATCH /auth/me"}


def asks(route: APIRoute, dependency: object) -> bool:
    """Whether this dependency is anywhere among the route's."""
    waiting = [route.dependant]
    while waiting:
        one = waiting.pop()
        if one.call is dependency:
            return True
        waiting += one.dependencies
    return False


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert set(POLICY) == set(ROUTES)


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_a_route_asks_for_whom_its_row_names(name: str) -> None:
    route, access = ROUTES[name], POLICY[name]
    # The streaming function recognises the photographer by a dependency of its own.
    private = asks(route, get_caller) or asks(route, get_own)
    assert (private, asks(route, get_visit)) == (access not in ("open", "visitor"), access == "visitor")
    assert asks(route, get_admin) == (access in ADMINISTRATORS)
    assert asks(route, get_confirmed) == (access in ("confirmed", "administer"))


@pytest.fixture(scope="module")
def world(shared_api: str) -> World:
    assert shared_api
    return World.made()


@pytest.fixture(scope="module")
def ben(shared_api: str) -> Photographer:
    assert shared_api
    return Photographer.registered()


@pytest.fixture(scope="module")
def boss(shared_api: str) -> World:
    assert shared_api
    made = World.made()
    promote(made.anna)
    return made


@pytest.fixture(scope="module")
def gone(shared_api: str) -> World:
    """Somebody who was deactivated."""
    assert shared_api
    made = World.made()
    sql("UPDATE users SET is_active = false WHERE email = :email", email=made.anna.email)
    return made


@pytest.mark.parametrize("route", PRIVATE)
def test_who_is_turned_away(route: str, world: World, boss: World, gone: World) -> None:
    access = POLICY[route]
    before = state(world)
    answer = request(route, world.things)
    if not route.startswith("HEAD "):
        problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert request(route, world.things, key="sl_00000000_none").status_code == 401
    assert request(route, world.things, key=world.keys["read"][:-1]).status_code == 401
    assert request(route, gone.things, token=gone.anna.tokens["access_token"]).status_code == 401
    for scope in SCOPES:
        assert request(route, gone.things, key=gone.keys[scope]).status_code == 401
        opens = scope in OPENED_BY.get(access, ())
        if not opens or access in ADMINISTRATORS:  # Anna is no administrator, whatever her key says
            assert request(route, world.things, key=world.keys[scope]).status_code == 403
        if not opens:
            refused = request(route, boss.things, key=boss.keys[scope])
            assert (refused.status_code, "key_not_allowed" in refused.text) == (403, not route.startswith("HEAD "))
    if access in ADMINISTRATORS:
        assert request(route, world.things, token=world.anna.tokens["access_token"]).status_code == 403
    assert state(world) == before


@pytest.mark.parametrize("route", [route for route in WITH_ID if POLICY[route] not in ADMINISTRATORS])
def test_what_is_somebody_elses_is_answered_as_if_there_were_nothing(
    route: str, world: World, ben: Photographer, boss: World
) -> None:
    kept = {name: world.things[name] for name in ("name", "asset")}
    nowhere = {**{name: str(uuid.uuid4()) for name in world.things}, **kept}
    before = state(world)
    for stranger in (ben, boss.anna):
        token = stranger.tokens["access_token"]
        for body in (None, {"nonsense": 1}):
            foreign = request(route, world.things, token=token, body=body)
            missing = request(route, nowhere, token=token, body=body)
            if not route.startswith("HEAD "):
                problem(missing, 404, "not_found")
            assert missing.status_code == 404
            assert same(foreign, missing)
    assert state(world) == before


@pytest.mark.parametrize("route", PRIVATE)
def test_who_is_let_through(route: str, world: World, boss: World) -> None:
    """What makes the refusals mean something: the very same requests."""
    access = POLICY[route]
    for how in ("token", *sorted(OPENED_BY.get(access, ()))):
        mine = someone_for(route, world, boss)
        credentials = {"token": mine.anna.tokens["access_token"]} if how == "token" else {"key": mine.keys[how]}
        answer = request(route, mine.things, **credentials)
        assert answer.status_code < 400, (how, answer.text)


def someone_for(route: str, world: World, boss: World) -> World:
    """Who may use this route; a fresh one where there is nothing left after it."""
    administrator = POLICY[route] in ADMINISTRATORS
    if route not in FINAL:
        return boss if administrator else world
    made = World.made()
    if administrator:
        promote(made.anna)
    return made


@pytest.mark.parametrize("route", PRIVATE)
def test_an_access_token_alone_is_enough_for_what_is_not_sensitive_and_for_nothing_else(
    route: str, world: World, boss: World
) -> None:
    mine = someone_for(route, world, boss)
    sql("UPDATE users SET username = NULL WHERE username = :name", name=BODIES["PATCH /auth/me"]["username"])
    before = state(mine)
    age_confirmation(mine.anna, 601)
    token = mine.anna.tokens["access_token"]
    answer = request(route, mine.things, token=token)
    if route not in CONFIRMED:
        age_confirmation(mine.anna, 0)
        assert answer.status_code < 400, answer.text
        return
    problem(answer, 403, "confirmation_required")
    assert state(mine) == before
    renewed = mine.anna.http.post("/auth/refresh", json={"refresh_token": mine.anna.tokens["refresh_token"]}).json()
    mine.anna.tokens = renewed
    problem(request(route, mine.things, token=renewed["access_token"]), 403, "confirmation_required")
    assert request("POST /auth/confirm", mine.things, token=renewed["access_token"]).status_code == 204
    answer = request(route, mine.things, token=renewed["access_token"])
    assert answer.status_code < 400, answer.text


def test_settings_are_changed_without_the_password(world: World) -> None:
    age_confirmation(world.anna, 601)
    token = world.anna.tokens["access_token"]
    same_name = {"settings": {"theme": "dark"}, "email": world.anna.email.upper()}
    assert request("PATCH /auth/me", world.things, token=token, body=same_name).status_code == 200
    assert request("POST /auth/confirm", world.things, token=token).status_code == 204


@pytest.mark.parametrize("path", ["", "/status", "/manifest"])
def test_a_key_needs_the_scope_of_links_for_what_a_visitor_picked(path: str, world: World) -> None:
    asked = f"/galleries/{world.things['gallery_id']}/download{path}"
    made = world.anna.call("POST", "/auth/api-keys", json={"name": "both", "scopes": ["read", "share"]}).json()["key"]
    for reference in ("", "mine", str(uuid.uuid4())):
        params = {"selection": reference}
        read = client().get(asked, params=params, headers={"X-API-Key": world.keys["read"]})
        problem(read, 403, "key_not_allowed")
        both = client().get(asked, params=params, headers={"X-API-Key": made})
        problem(both, 404, "not_found")


def state(world: World) -> list[object]:
    """What nobody else may have changed."""
    paths = ("/auth/me", "/auth/api-keys", "/galleries", "/photos/{photo_id}", "/share-links/{share_id}")
    seen = [world.anna.call("GET", path.format(**world.things)).json() for path in paths]
    for key in seen[1]["items"]:
        del key["last_used_at"]
    return seen


# ---------------------------------------------------------------- visitors


@pytest.mark.parametrize("route", VISITOR)
def test_a_visitors_route_on_every_kind_of_link(route: str, world: World) -> None:
    method, _, path = route.partition(" ")
    anna, gallery, photo = world.anna, world.things["gallery_id"], world.things["photo_id"]
    opened, locked, other = (
        anna.share(gallery, **policy)["share_id"] for policy in ({}, {"password": LINK_PASSWORD}, {"password": "other"})
    )

    def ask(share: str, grants: str = "", name: str | None = None) -> int:
        body = BODIES.get(route, {}) if method in ("POST", "PUT") else None
        headers = {"Cookie": grants, "Accept": "application/json"}
        url = path.format(share_id=name or share, photo_id=photo)
        return client().request(method, url, headers=headers, json=body).status_code

    def grant(share: str, password: str) -> str:
        answer = client().post(f"/s/{share}/unlock", json={"password": password})
        assert answer.status_code == 204
        return f"grant_{uuid.UUID(share).hex}={answer.cookies[f'grant_{uuid.UUID(share).hex}']}"

    through, turned_away = ask(opened), (204 if path.endswith("/unlock") else 401)
    assert through < 400 or (through == 409 and path.endswith("/selection"))  # nothing was picked
    mine, foreign = grant(locked, LINK_PASSWORD), grant(other, "other")
    stolen = f"grant_{uuid.UUID(locked).hex}={foreign.partition('=')[2]}"
    assert ask(locked) == turned_away
    assert ask(locked, foreign) == turned_away
    assert ask(locked, stolen) == turned_away
    assert ask(locked, mine) == through
    changed = anna.call("PATCH", f"/share-links/{locked}", json={"max_downloads": 1000})
    assert changed.status_code == 200
    assert ask(locked, mine) == turned_away  # a changed policy ends every grant
    mine = grant(locked, LINK_PASSWORD)
    ended = anna.share(gallery, password=LINK_PASSWORD)["share_id"]
    grants = f"{mine}; {grant(ended, LINK_PASSWORD)}"
    assert anna.call("PATCH", f"/share-links/{ended}", json={"revoked": True}).status_code == 200
    assert ask(ended, grants) == 404
    late = anna.share(gallery)["share_id"]
    sql("UPDATE share_links SET expires_at = now() WHERE id = :id", id=late)
    assert ask(late) == 404
    assert ask(str(uuid.uuid4())) == 404
    assert ask("", name="no-such-link") == 404


def test_links_of_a_deactivated_owner_are_nothing(gone: World) -> None:
    for route in VISITOR:
        assert request(route, gone.things).status_code == 404, route


def test_a_visitor_reaches_only_the_photos_of_the_link(world: World) -> None:
    anna = world.anna
    one, other = anna.gallery()["id"], anna.gallery()["id"]
    share, elsewhere = anna.share(one)["share_id"], anna.upload(other, jpeg())
    run_jobs()
    for path in ("photos", "download"):
        foreign = client().get(f"/s/{share}/{path}/{elsewhere}")
        missing = client().get(f"/s/{share}/{path}/{uuid.uuid4()}")
        problem(missing, 404, "not_found")
        assert same(foreign, missing)


def test_metrics_tell_what_is_there(boss: World) -> None:
    answer = boss.anna.call("GET", "/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    [(ready,)] = sql("SELECT count(*) FROM photos WHERE status = 'ready' AND deleted_at IS NULL")
    assert f'safelight_photos{{status="ready"}} {ready}\n' in answer.text
    assert 'safelight_jobs{kind="process_photo",status="completed"}' in answer.text
    assert "safelight_jobs_oldest_due_seconds 0.000" in answer.text
