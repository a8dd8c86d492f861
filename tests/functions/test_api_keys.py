"""API keys and administrators."""

from __future__ import annotations

import re
import uuid

import pytest

from functions.migrate.app import handler
from safelight.accounts import api_keys, operators
from tests import product
from tests.api import PASSWORD, Photographer, client
from tests.functions.access import promote
from tests.functions.support import in_parallel, problem, sql

pytestmark = pytest.mark.usefixtures("api")


def key_of(someone: Photographer, *scopes: str) -> str:
    made = someone.call("POST", "/auth/api-keys", json={"name": "Lightroom", "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    key: str = made.json()["key"]
    return key


def test_a_key_is_shown_once_and_only_its_hash_is_kept() -> None:
    anna = Photographer.registered()
    key = key_of(anna, "upload", "read")
    assert re.fullmatch(r"sl_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", key)
    [listed] = anna.call("GET", "/auth/api-keys").json()["items"]
    assert listed["prefix"] == key[3:11]
    assert (listed["scopes"], listed["last_used_at"]) == (["read", "upload"], None)
    assert "key" not in listed
    [row] = sql("SELECT * FROM api_keys")
    assert key[12:] not in repr(row)
    assert client().get("/galleries", headers={"X-API-Key": key}).status_code == 200
    [used] = anna.call("GET", "/auth/api-keys").json()["items"]
    assert used["last_used_at"] is not None
    assert client().get("/galleries", headers={"X-API-Key": key}).status_code == 200
    assert anna.call("GET", "/auth/api-keys").json()["items"] == [used]  # a write a minute, not a request


def test_a_key_cannot_widen_itself_nor_touch_the_account() -> None:
    anna = Photographer.registered()
    promote(anna)
    anna_id = anna.call("GET", "/auth/me").json()["id"]
    headers = {"X-API-Key": key_of(anna, "read", "upload", "share", "metrics", "operate", "admin")}
    for method, path, body in (
        ("POST", "/auth/api-keys", {"name": "wider", "scopes": ["admin"]}),
        ("GET", "/auth/api-keys", None),
        ("GET", "/auth/sessions", None),
        ("PATCH", "/auth/me", {"email": "evil@example.com"}),
        ("POST", "/auth/password", {"current_password": PASSWORD, "new_password": "Correct-Horse-8"}),
        ("POST", "/auth/confirm", {"password": PASSWORD}),
        ("DELETE", "/auth/me", None),
        ("PATCH", f"/admin/users/{anna_id}", {"is_active": True}),
        ("POST", "/admin/invitations", {"email": "x@example.com"}),
        ("DELETE", f"/admin/invitations/{anna_id}", None),
    ):
        problem(client().request(method, path, headers=headers, json=body), 403, "key_not_allowed")
    assert client().get("/admin/users", headers=headers).status_code == 200


@pytest.mark.parametrize("scope", ["metrics", "operate", "admin"])
def test_a_key_for_administration_has_the_power_that_its_owner_has_now(scope: str) -> None:
    anna = Photographer.registered()
    refused = anna.call("POST", "/auth/api-keys", json={"name": "x", "scopes": ["read", scope]})
    problem(refused, 403, "scope_not_allowed")
    assert sql("SELECT count(*) FROM api_keys") == [(0,)]
    promote(anna)
    headers = {"X-API-Key": key_of(anna, "read", scope)}
    walk = f"/admin/reprocessings/{uuid.uuid4()}"
    opened = {path: client().get(path, headers=headers).status_code for path in ("/metrics", walk, "/admin/users")}
    assert opened == {
        "/metrics": 200 if scope in ("metrics", "admin") else 403,
        walk: 404 if scope in ("operate", "admin") else 403,
        "/admin/users": 200 if scope == "admin" else 403,
    }
    sql("UPDATE users SET is_admin = false WHERE email = :email", email=anna.email)
    for path in opened:
        assert client().get(path, headers=headers).status_code == 403
    assert client().get("/galleries", headers=headers).status_code == 200
    sql("UPDATE users SET is_active = false, is_admin = true WHERE email = :email", email=anna.email)
    for path in opened:
        assert client().get(path, headers=headers).status_code == 401


def test_a_revoked_key_is_out_at_its_next_request_and_somebody_elses_cannot_be_revoked() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    key = key_of(anna, "read")
    [listed] = anna.call("GET", "/auth/api-keys").json()["items"]
    problem(ben.call("DELETE", f"/auth/api-keys/{listed['id']}"), 404, "not_found")
    assert client().get("/galleries", headers={"X-API-Key": key}).status_code == 200
    assert anna.call("DELETE", f"/auth/api-keys/{listed['id']}").status_code == 204
    problem(client().get("/galleries", headers={"X-API-Key": key}), 401, "unauthorized")
    problem(anna.call("DELETE", f"/auth/api-keys/{listed['id']}"), 404, "not_found")
    assert anna.call("GET", "/auth/api-keys").json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": " ", "scopes": ["read"]},
        {"name": "x" * 101, "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "user_id": "00000000-0000-0000-0000-000000000000"},
        {"name": "x", "scopes": ["read"], "key_hash": "00"},
    ],
)
def test_what_is_no_key_is_refused(body: dict[str, object]) -> None:
    problem(Photographer.registered().call("POST", "/auth/api-keys", json=body), 422, "invalid")


def test_keys_are_limited_however_many_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST", 5)
    anna = Photographer.registered()
    body = {"name": "x", "scopes": ["read"]}
    answers = in_parallel(12, lambda _: anna.call("POST", "/auth/api-keys", json=body).status_code)
    assert sorted(answers) == [201] * 5 + [409] * 7
    first = anna.call("GET", "/auth/api-keys?limit=3").json()
    rest = anna.call("GET", f"/auth/api-keys?limit=3&cursor={first['next_cursor']}").json()
    assert len({key["id"] for key in first["items"] + rest["items"]}) == 5
    assert rest["next_cursor"] is None


def test_an_administrator_keeps_somebody_out_and_lets_her_in_again() -> None:
    anna, boss = Photographer.registered(), Photographer.registered()
    promote(boss)
    key = key_of(anna, "read")
    listed = boss.call("GET", "/admin/users").json()["items"]
    assert {one["email"] for one in listed} == {anna.email, boss.email}
    anna_id, boss_id = (next(one["id"] for one in listed if one["email"] == who.email) for who in (anna, boss))
    out = boss.call("PATCH", f"/admin/users/{anna_id}", json={"is_active": False})
    assert (out.status_code, out.json()["is_active"]) == (200, False)
    problem(anna.call("GET", "/auth/me"), 401, "unauthorized")
    problem(client().get("/galleries", headers={"X-API-Key": key}), 401, "unauthorized")
    login = {"email": anna.email, "password": PASSWORD}
    problem(client().post("/auth/login", json=login), 401, "unauthorized")
    assert boss.call("PATCH", f"/admin/users/{anna_id}", json={"is_active": True}).status_code == 200
    problem(anna.call("GET", "/auth/me"), 401, "unauthorized")  # the old session stays ended
    anna.sign_in()
    assert anna.call("GET", "/auth/me").status_code == 200
    for patch in ({"is_active": False}, {"is_admin": False}):
        problem(boss.call("PATCH", f"/admin/users/{boss_id}", json=patch), 409, "conflict")
    for unknown in ({"password_hash": "x"}, {"email": "x@example.com"}):
        problem(boss.call("PATCH", f"/admin/users/{anna_id}", json=unknown), 422, "invalid")


def test_an_account_that_is_let_in_again_has_its_links_locked_again() -> None:
    boss, anna, other = Photographer.registered(), Photographer.registered(), Photographer.registered()
    promote(boss)
    visitors = {}
    for who in (anna, other):
        share = who.share(who.gallery()["id"], password="cake and wine")["share_id"]
        visitors[share] = client()
        answer = visitors[share].post(f"/s/{share}/unlock", json={"password": "cake and wine"})
        assert answer.status_code == 204
        visitors[share].headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]
        assert visitors[share].get(f"/s/{share}").status_code == 200
    [(anna_id,)] = sql("SELECT id FROM users WHERE email = :email", email=anna.email)
    looks = []
    for active in (False, True):
        assert boss.call("PATCH", f"/admin/users/{anna_id}", json={"is_active": active}).status_code == 200
        looks.append([visitor.get(f"/s/{share}").status_code for share, visitor in visitors.items()])
    assert looks == [[404, 200], [401, 200]]


def test_nobody_makes_herself_an_administrator() -> None:
    anna = Photographer.registered()
    for method, path, body in (
        ("PATCH", "/auth/me", {"is_admin": True}),
        ("POST", "/auth/register", {"email": "new@example.com", "password": PASSWORD, "is_admin": True}),
    ):
        problem(anna.call(method, path, json=body), 422, "invalid")
    assert sql("SELECT count(*) FROM users WHERE is_admin") == [(0,)]


def test_the_first_administrator_gets_a_generated_password() -> None:
    with product.running("migrate"):
        password = handler({"admin": " Boss@Example.COM "}, None)["password"]
    answer = client().post("/auth/login", json={"email": "boss@example.com", "password": password})
    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client().get("/admin/users", headers=headers).status_code == 200
    key = client().post("/auth/api-keys", headers=headers, json={"name": "waiting", "scopes": ["admin"]}).json()["key"]
    again = operators.first_admin("boss@example.com").password
    assert client().get("/admin/users", headers={"X-API-Key": key}).status_code == 401
    assert again != password
    assert client().get("/auth/me", headers=headers).status_code == 401
    with pytest.raises(ValueError, match="@-sign"):
        operators.first_admin("boss")
