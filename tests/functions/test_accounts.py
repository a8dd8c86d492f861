"""Accounts: opening, proving, changing and closing one."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from safelight.sweep import run as sweep
from tests.api import PASSWORD, Photographer, client, run_jobs
from tests.functions.support import problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")


def fresh_email() -> str:
    return f"{uuid.uuid4().hex}@example.com"


def test_an_account_is_opened_once_whatever_the_case_of_its_name() -> None:
    email = fresh_email()
    answer = client().post("/auth/register", json={"email": email, "password": PASSWORD, "username": email[:20]})
    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "email", "username", "created_at"}
    problem(client().post("/auth/register", json={"email": email.upper(), "password": PASSWORD}), 409, "name_taken")
    taken = {"email": fresh_email(), "password": PASSWORD, "username": email[:20].upper()}
    problem(client().post("/auth/register", json=taken), 409, "name_taken")
    for name in ({"email": email.upper()}, {"username": email[:20].upper()}, {"email": f" {email} "}):
        assert client().post("/auth/login", json={**name, "password": PASSWORD}).status_code == 200, name


def test_an_address_is_the_same_in_each_of_its_spellings() -> None:
    local = uuid.uuid4().hex
    answer = client().post("/auth/register", json={"email": f"{local}@xn--bcher-kva.example", "password": PASSWORD})
    assert answer.json()["email"] == f"{local}@bücher.example"
    for spelling in (f"{local}@xn--bcher-kva.example", f"{local}@bücher.example", f"{local}@bu\u0308cher.example"):
        assert client().post("/auth/login", json={"email": spelling, "password": PASSWORD}).status_code == 200
        form = {"username": spelling, "password": PASSWORD}
        assert client().post("/auth/token", data=form).status_code == 200


@pytest.mark.parametrize(
    "password",
    ["Short-7", "no-upper-case-7", "NO-LOWER-CASE-7", "No-Digit-Here", "Aa1" + "x" * 70, "Aa1" + "ü" * 35, "Aa1\0xxxxx",
     "Aa1\ud800xxxx"],
)  # fmt: skip
def test_a_password_that_breaks_a_rule_is_refused_without_being_repeated(password: str) -> None:
    request = _json({"email": fresh_email(), "password": password})
    body = problem(client().post("/auth/register", **request), 422, "invalid")
    assert [error["field"] for error in body["errors"]] == ["password"]
    assert password.encode("utf-8", "replace") not in str(body).encode()


@pytest.mark.parametrize("password", ["Aa1" + "x" * 69, "Aa1" + "ü" * 34 + "x", "Aa1🐴🐴🐴🐴🐴"])
def test_a_password_may_have_72_bytes_and_all_of_them_count(password: str) -> None:
    email = fresh_email()
    assert client().post("/auth/register", json={"email": email, "password": password}).status_code == 201
    assert client().post("/auth/login", json={"email": email, "password": password}).status_code == 200
    for other in (password[:-1], password + "x"):
        problem(client().post("/auth/login", json={"email": email, "password": other}), 401, "unauthorized")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "no address", "password": PASSWORD},
        {"email": "a@example.com", "password": PASSWORD, "username": "has@sign"},
        {"email": "a@example.com", "password": PASSWORD, "username": "ab"},
        {"email": "a@example.com", "password": PASSWORD, "is_admin": True},
        {"email": "a\0@example.com", "password": PASSWORD},
    ],
)
def test_an_account_needs_a_name_of_the_right_form(body: dict[str, object]) -> None:
    problem(client().post("/auth/register", json=body), 422, "invalid")


def test_all_bad_credentials_are_answered_in_the_same_words() -> None:
    known = Photographer.registered()
    bodies = [
        {"email": known.email, "password": "Wrong-Horse-7"},
        {"email": fresh_email(), "password": PASSWORD},
        {"username": "nobody", "password": PASSWORD},
        {"email": known.email, "password": PASSWORD + "\0"},
        {"email": known.email + "\0", "password": PASSWORD},
        {"email": known.email, "password": "x" * 1000},
    ]
    answers = {client().post("/auth/login", json=body).text for body in bodies}
    assert len(answers) == 1
    problem(client().post("/auth/login", json=bodies[0]), 401, "unauthorized")
    form = {"username": known.email, "password": "Wrong-Horse-7"}
    assert client().post("/auth/token", data=form).text in answers
    for body in ({"password": PASSWORD}, {"email": "a", "username": "b", "password": PASSWORD}, {"email": "a"}):
        problem(client().post("/auth/login", json=body), 422, "invalid")


def test_who_i_am_can_be_read_and_changed() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    name = f"n{uuid.uuid4().hex[:12]}"
    assert anna.call("PATCH", "/auth/me", json={"username": name}).json()["username"] == name
    assert anna.call("GET", "/auth/me").json()["username"] == name
    problem(ben.call("PATCH", "/auth/me", json={"username": name.upper()}), 409, "name_taken")
    problem(ben.call("PATCH", "/auth/me", json={"email": anna.email}), 409, "name_taken")
    assert ben.call("GET", "/auth/me").json()["email"] == ben.email
    assert anna.call("PATCH", "/auth/me", json={"username": None}).json()["username"] is None
    assert anna.call("PATCH", "/auth/me", json={"email": None}).json()["email"] == anna.email


def test_a_new_password_ends_every_session_but_the_one_that_set_it() -> None:
    anna = Photographer.registered()
    here = anna.tokens["refresh_token"]
    elsewhere = client().post("/auth/login", json={"email": anna.email, "password": PASSWORD}).json()["refresh_token"]
    new = {"current_password": PASSWORD, "new_password": "Another-Horse-8"}
    problem(anna.call("POST", "/auth/password", json={**new, "current_password": "Wrong-1"}), 403, "forbidden")
    assert anna.call("POST", "/auth/password", json=new).status_code == 204
    problem(client().post("/auth/refresh", json={"refresh_token": elsewhere}), 401, "unauthorized")
    assert client().post("/auth/refresh", json={"refresh_token": here}).status_code == 200
    problem(client().post("/auth/login", json={"email": anna.email, "password": PASSWORD}), 401, "unauthorized")
    login = {"email": anna.email, "password": "Another-Horse-8"}
    assert client().post("/auth/login", json=login).status_code == 200


def test_a_deactivated_account_can_do_nothing() -> None:
    anna = Photographer.registered()
    sql("UPDATE users SET is_active = false WHERE email = :email", email=anna.email)
    problem(anna.call("GET", "/auth/me"), 401, "unauthorized")
    problem(client().post("/auth/login", json={"email": anna.email, "password": PASSWORD}), 401, "unauthorized")
    body = {"refresh_token": anna.tokens["refresh_token"]}
    problem(client().post("/auth/refresh", json=body), 401, "unauthorized")


def test_a_closed_account_is_gone_at_once_and_erased_with_the_next_sweep() -> None:
    from safelight.storage import storage

    anna = Photographer.registered()
    gallery = anna.gallery()
    photo_id = anna.upload(gallery["id"])
    run_jobs()
    share = anna.share(gallery["id"])
    user_id = anna.call("GET", "/auth/me").json()["id"]
    assert client().get(f"/s/{share['share_id']}").status_code == 200
    prefixes = (f"originals/{gallery['id']}/", f"renditions/{gallery['id']}/")
    assert all(list(storage().keys(prefix)) for prefix in prefixes)

    closed = anna.call("DELETE", "/auth/me")
    assert closed.status_code == 204
    assert 'safelight_refresh=""' in closed.headers["set-cookie"]
    problem(anna.call("GET", "/auth/me"), 401, "unauthorized")
    problem(client().get(f"/s/{share['share_id']}"), 404, "not_found")
    problem(client().post("/auth/refresh", json={"refresh_token": anna.tokens["refresh_token"]}), 401, "unauthorized")
    problem(client().post("/auth/login", json={"email": anna.email, "password": PASSWORD}), 401, "unauthorized")
    assert sql("SELECT email, username FROM users WHERE id = :id", id=user_id) == [(f"{user_id}@deleted.invalid", None)]
    again = {"email": anna.email, "password": PASSWORD}
    assert client().post("/auth/register", json=again).status_code == 201

    sweep()
    assert not any(list(storage().keys(prefix)) for prefix in prefixes)
    counted = sql(
        "SELECT (SELECT count(*) FROM users WHERE id = :user), (SELECT count(*) FROM galleries WHERE id = :gallery),"
        " (SELECT count(*) FROM photos WHERE id = :photo), (SELECT count(*) FROM renditions WHERE photo_id = :photo),"
        " (SELECT count(*) FROM share_links WHERE id = :share), (SELECT count(*) FROM share_events),"
        " (SELECT count(*) FROM refresh_tokens WHERE user_id = :user)",
        user=user_id, gallery=gallery["id"], photo=photo_id, share=share["share_id"],
    )  # fmt: skip
    assert counted == [(0,) * 7]


def _json(body: object) -> dict[str, Any]:
    """A request's JSON whose strings may hold what no valid Unicode does."""
    return {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}


def test_settings_are_kept_as_they_are_and_mean_nothing_here() -> None:
    anna = Photographer.registered()
    assert anna.call("GET", "/auth/me").json()["settings"] == {}
    settings = {"theme": "dark", "columns": 4, "is_admin": True, "recent": ["a", None, 1.5, {"😀": "é"}]}
    assert anna.call("PATCH", "/auth/me", json={"settings": settings}).json()["settings"] == settings
    assert anna.call("GET", "/auth/me").json()["settings"] == settings
    problem(anna.call("GET", "/admin/users"), 403, "forbidden")
    assert anna.call("PATCH", "/auth/me", json={"username": fresh_email().partition("@")[0]}).status_code == 200
    assert anna.call("GET", "/auth/me").json()["settings"] == settings
    deep: object = "x"
    for _ in range(50):
        deep = [deep]
    for wrong in ({"x": "x" * 9000}, {"x": deep}, {"x": "\0"}, {"\0": 1}, ["x"], "x"):
        problem(anna.call("PATCH", "/auth/me", json={"settings": wrong}), 422, "invalid")
    for raw in ('{"settings": {"x": "\\ud800"}}', '{"settings": {"x": NaN}}', '{"settings": {"x": 1e999}}'):
        sent = anna.call("PATCH", "/auth/me", content=raw, headers={"Content-Type": "application/json"})
        assert sent.status_code == 422, raw
    assert anna.call("GET", "/auth/me").json()["settings"] == settings
