"""Who may open an account: everyone, people with an invitation, or no one."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest

from safelight.accounts import invitations
from safelight.config import settings
from safelight.queue import Queue
from safelight.storage import storage
from safelight.sweep import sweep
from tests import product
from tests.api import PASSWORD, Photographer, client
from tests.functions.access import administrator
from tests.functions.support import in_parallel, problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")

type SetMode = Callable[[str], None]


@pytest.fixture
def mode(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetMode]:
    """Sets REGISTRATION."""

    def set_to(value: str) -> None:
        monkeypatch.setenv("REGISTRATION", value)
        settings.cache_clear()

    yield set_to
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def boss() -> Photographer:
    return administrator()


def fresh_email() -> str:
    return f"{uuid.uuid4().hex}@example.com"


def invited(boss: Photographer, email: str) -> dict[str, Any]:
    answer = boss.call("POST", "/admin/invitations", json={"email": email})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


def register(email: str, **more: Any) -> httpx.Response:
    return client().post("/auth/register", json={"email": email, "password": PASSWORD, **more})


def test_where_registration_is_closed_no_one_opens_an_account(boss: Photographer, mode: SetMode) -> None:
    email = fresh_email()
    code = invited(boss, email)["code"]
    mode("closed")
    for body in ({}, {"invitation": code}, {"invitation": "x"}):
        answer = problem(register(email, **body), 403, "registration_closed")
        assert "ask the administrator" in answer["detail"]
    problem(register(boss.email), 403, "registration_closed")
    refused = problem(boss.call("POST", "/admin/invitations", json={"email": email}), 409, "registration_closed")
    assert "REGISTRATION=invite" in refused["detail"]
    mode("invite")
    assert register(email, invitation=code).status_code == 201


def test_an_invitation_opens_one_account_for_its_address(boss: Photographer, mode: SetMode) -> None:
    mode("invite")
    local = uuid.uuid4().hex
    made = invited(boss, f"{local}@Example.com")
    assert made.keys() == {"id", "email", "created_at", "expires_at", "code", "url"}
    assert made["url"] == f"{product.BASE_URL}/join#{made['code']}"
    begun, ends = (dt.datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert abs(ends - begun - dt.timedelta(days=7)) < dt.timedelta(minutes=1)
    problem(register(fresh_email()), 403, "invitation_required")
    problem(register(fresh_email(), invitation=""), 403, "invitation_required")
    problem(register(fresh_email(), invitation=made["code"]), 403, "invitation_invalid")
    opened = register(f"{local.upper()}@EXAMPLE.com", invitation=made["code"])
    assert opened.status_code == 201
    problem(register(f"{local}@example.com", invitation=made["code"]), 403, "invitation_invalid")
    assert sql("SELECT count(*) FROM invitations WHERE email = :email", email=made["email"]) == [(0,)]
    assert "invitation" not in opened.text


def test_of_two_hundred_registrations_with_one_code_one_opens_an_account(boss: Photographer, mode: SetMode) -> None:
    mode("invite")
    email = fresh_email()
    code = invited(boss, email)["code"]
    browser = client()
    body = {"email": email, "password": PASSWORD, "invitation": code}
    answers = in_parallel(200, lambda _: browser.post("/auth/register", json=body))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 403: 199}
    assert {answer.json()["code"] for answer in answers if answer.is_error} == {"invitation_invalid"}
    assert sql("SELECT count(*) FROM users WHERE email = :email", email=email) == [(1,)]


def test_every_bad_code_is_answered_alike_whoever_has_an_account(boss: Photographer, mode: SetMode) -> None:
    anna, rogue = Photographer.registered(), administrator()
    mode("invite")
    late, used, withdrawn, replaced, orphan = (fresh_email() for _ in range(5))
    codes = {email: invited(boss, email)["code"] for email in (late, used, replaced)}
    sql("UPDATE invitations SET expires_at = now() WHERE email = :email", email=late)
    assert register(used, invitation=codes[used]).status_code == 201
    made = invited(boss, withdrawn)
    assert boss.call("DELETE", f"/admin/invitations/{made['id']}").status_code == 204
    assert invited(boss, replaced)["code"] != codes[replaced]
    codes[orphan] = invited(rogue, orphan)["code"]
    sql("UPDATE users SET is_admin = false WHERE email = :email", email=rogue.email)
    codes[withdrawn] = made["code"]
    tries = [*codes.items(), (anna.email, codes[late]), (anna.email, "x"), (fresh_email(), "x"), (late, "\0 é"),
             (anna.email, invited(boss, fresh_email())["code"])]  # fmt: skip
    answers = [register(email, invitation=code) for email, code in tries]
    assert {(answer.status_code, answer.content) for answer in answers} == {(403, answers[0].content)}
    problem(answers[0], 403, "invitation_invalid")


@pytest.mark.parametrize("lost", ["is_admin = false", "is_active = false", "deleted_at = now()"])
def test_an_invitation_ends_with_the_power_of_who_made_it(lost: str, boss: Photographer, mode: SetMode) -> None:
    rogue, email = administrator(), fresh_email()
    mode("invite")
    code = invited(rogue, email)["code"]
    sql(f"UPDATE users SET {lost} WHERE email = :email", email=rogue.email)
    problem(register(email, invitation=code), 403, "invitation_invalid")
    assert email not in [one["email"] for one in boss.call("GET", "/admin/invitations?limit=200").json()["items"]]


def test_a_registration_that_fails_leaves_the_invitation(boss: Photographer, mode: SetMode) -> None:
    anna = Photographer.registered()
    name = f"n{uuid.uuid4().hex[:12]}"
    assert anna.call("PATCH", "/auth/me", json={"username": name}).status_code == 200
    mode("invite")
    email = fresh_email()
    code = invited(boss, email)["code"]
    problem(register(email, invitation=code, username=name), 409, "name_taken")
    weak = client().post("/auth/register", json={"email": email, "password": "weak", "invitation": code})
    problem(weak, 422, "invalid")
    assert register(email, invitation=code).status_code == 201


def test_invitations_are_listed_without_codes_and_withdrawn(boss: Photographer) -> None:
    emails = [fresh_email() for _ in range(3)]
    made = [invited(boss, email) for email in emails]
    first = boss.call("GET", "/admin/invitations?limit=2").json()
    assert [one["email"] for one in first["items"]] == emails[:0:-1]
    assert first["items"][0].keys() == {"id", "email", "created_at", "expires_at"}
    rest = boss.call("GET", f"/admin/invitations?limit=200&cursor={first['next_cursor']}").json()
    assert rest["items"][0]["email"] == emails[0]
    path = f"/admin/invitations/{made[0]['id']}"
    assert boss.call("DELETE", path).status_code == 204
    problem(boss.call("DELETE", path), 404, "not_found")
    problem(boss.call("DELETE", f"/admin/invitations/{uuid.uuid4()}"), 404, "not_found")
    left = boss.call("GET", "/admin/invitations?limit=200").json()["items"]
    assert emails[0] not in [one["email"] for one in left]


def test_a_new_invitation_replaces_the_one_that_the_address_has(boss: Photographer) -> None:
    email = fresh_email()
    made = in_parallel(8, lambda _: invited(boss, email), threads=8)
    [kept] = sql("SELECT id::text, code_hash FROM invitations WHERE email = :email", email=email)
    assert kept in [(one["id"], invitations._hash(one["code"])) for one in made]
    assert all(one["code"].encode() not in kept[1] for one in made)
    replaced = next(one["id"] for one in made if one["id"] != kept[0])
    problem(boss.call("DELETE", f"/admin/invitations/{replaced}"), 404, "not_found")


def test_who_has_an_account_is_not_invited_and_what_is_no_address_is_refused(boss: Photographer) -> None:
    problem(boss.call("POST", "/admin/invitations", json={"email": boss.email.upper()}), 409, "name_taken")
    for body in ({}, {"email": "nobody"}, {"email": fresh_email(), "is_admin": True}):
        problem(boss.call("POST", "/admin/invitations", json=body), 422, "invalid")


def test_where_everyone_may_register_a_code_is_not_looked_at(mode: SetMode) -> None:
    mode("open")
    assert register(fresh_email(), invitation="x").status_code == 201


def test_invitations_that_have_run_out_are_swept(boss: Photographer) -> None:
    kept, late = fresh_email(), fresh_email()
    for email in (kept, late):
        invited(boss, email)
    sql("UPDATE invitations SET expires_at = now() - interval '1 second' WHERE email = :email", email=late)
    sweep(storage(), Queue())
    found = sql("SELECT email FROM invitations WHERE email IN (:kept, :late)", kept=kept, late=late)
    assert found == [(kept,)]


def test_guessing_codes_is_limited_before_anything_is_looked_at(
    boss: Photographer, mode: SetMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = fresh_email()
    code = invited(boss, email)["code"]
    sql("DELETE FROM throttles")
    monkeypatch.setenv("REGISTRATIONS_PER_HOUR", "3")
    mode("invite")
    answers = [register(fresh_email(), invitation="x").status_code for _ in range(3)]
    assert [*answers, register(email, invitation=code).status_code] == [403, 403, 403, 429]
    sql("DELETE FROM throttles")
    assert register(email, invitation=code).status_code == 201


def test_an_administrator_who_was_demoted_meanwhile_invites_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.accounts import service

    rogue, email = administrator(), fresh_email()
    hold = service.hold_admin

    def late(*given: Any) -> None:
        sql("UPDATE users SET is_admin = false WHERE email = :email", email=rogue.email)
        hold(*given)

    monkeypatch.setattr(service, "hold_admin", late)
    problem(rogue.call("POST", "/admin/invitations", json={"email": email}), 401, "unauthorized")
    assert sql("SELECT count(*) FROM invitations WHERE email = :email", email=email) == [(0,)]
