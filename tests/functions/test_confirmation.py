"""The password given again before what a stolen access token must not do alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from safelight.accounts import confirmation, limits
from safelight.security import passwords
from tests.api import PASSWORD, Photographer, client
from tests.functions.access import administrator, age_confirmation
from tests.functions.support import in_parallel, passwords_compared, problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")

KEY = {"name": "one more", "scopes": ["read"]}


@pytest.fixture
def anna() -> Photographer:
    """Someone who gave the password more than ten minutes ago."""
    someone = Photographer.registered()
    age_confirmation(someone, 601)
    return someone


def test_a_confirmation_holds_for_ten_minutes_in_its_session_alone(anna: Photographer) -> None:
    refused = problem(anna.call("POST", "/auth/api-keys", json=KEY), 403, "confirmation_required")
    assert "POST /auth/confirm" in refused["detail"]
    other = Photographer(client(), anna.email)
    other.sign_in()
    assert other.call("POST", "/auth/api-keys", json=KEY).status_code == 201  # signing in is giving the password
    problem(anna.call("POST", "/auth/api-keys", json=KEY), 403, "confirmation_required")
    assert anna.call("POST", "/auth/confirm", json={"password": PASSWORD}).status_code == 204
    assert anna.call("POST", "/auth/api-keys", json=KEY).status_code == 201
    age_confirmation(anna, 590)
    assert anna.call("POST", "/auth/api-keys", json=KEY).status_code == 201
    age_confirmation(anna, 601)
    problem(anna.call("POST", "/auth/api-keys", json=KEY), 403, "confirmation_required")


def test_a_session_from_before_confirmations_asks_for_the_password(anna: Photographer) -> None:
    sql("UPDATE refresh_tokens SET confirmed_at = NULL")
    problem(anna.call("DELETE", "/auth/me"), 403, "confirmation_required")
    assert anna.call("POST", "/auth/confirm", json={"password": PASSWORD}).status_code == 204
    assert anna.call("DELETE", "/auth/me").status_code == 204


def test_a_name_is_neither_changed_nor_taken_away_without_the_password(anna: Photographer) -> None:
    assert anna.call("POST", "/auth/confirm", json={"password": PASSWORD}).status_code == 204
    assert anna.call("PATCH", "/auth/me", json={"username": "anna-of-confirmations"}).status_code == 200
    age_confirmation(anna, 601)
    for names in ({"username": None}, {"username": "other"}, {"email": "other@example.com"}):
        problem(anna.call("PATCH", "/auth/me", json=names), 403, "confirmation_required")
    # What is no change needs none.
    same = {"username": "Anna-of-Confirmations", "email": anna.email.upper()}
    for body in (same, {"email": None}, {"settings": {"a": 1}}, {}):
        assert anna.call("PATCH", "/auth/me", json=body).status_code == 200
    assert anna.call("POST", "/auth/confirm", json={"password": PASSWORD}).status_code == 204
    assert anna.call("PATCH", "/auth/me", json={"username": None}).json()["username"] is None


def test_a_wrong_password_confirms_nothing_and_is_counted(anna: Photographer) -> None:
    for body in ({"password": ""}, {}, {"password": PASSWORD, "minutes": 600}):
        problem(anna.call("POST", "/auth/confirm", json=body), 422, "invalid")
    for password in ("Wrong-Horse-7", PASSWORD + "\0", "x" * 1000):
        problem(anna.call("POST", "/auth/confirm", json={"password": password}), 403, "wrong_password")
    answers = in_parallel(20, lambda _: anna.call("POST", "/auth/confirm", json={"password": "Wrong-Horse-7"}))
    assert Counter(answer.status_code for answer in answers) == {403: limits.PASSWORD.tries - 3, 429: 13}
    late = anna.call("POST", "/auth/confirm", json={"password": PASSWORD})
    problem(late, 429, "too_many_requests")
    assert 1 <= int(late.headers["retry-after"]) <= limits.PASSWORD.step
    # One bucket for both doors to the same password.
    change = {"current_password": PASSWORD, "new_password": "Correct-Horse-8"}
    problem(anna.call("POST", "/auth/password", json=change), 429, "too_many_requests")
    problem(anna.call("POST", "/auth/api-keys", json=KEY), 403, "confirmation_required")


def test_right_passwords_are_limited_before_they_are_compared(
    anna: Photographer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (limits.CONFIRMED.tries, limits.CONFIRMED.seconds) == (60, 3600)
    monkeypatch.setattr(limits, "CONFIRMED", replace(limits.CONFIRMED, seconds=3600 * 1000))
    compared = passwords_compared(monkeypatch)
    body = {"password": PASSWORD}
    answers = in_parallel(70, lambda _: anna.call("POST", "/auth/confirm", json=body), threads=9)
    assert Counter(answer.status_code for answer in answers) == {204: limits.CONFIRMED.tries, 429: 10}
    assert len(compared) == limits.CONFIRMED.tries


def test_a_key_cannot_confirm_and_nobody_confirms_for_others(anna: Photographer) -> None:
    assert anna.call("POST", "/auth/confirm", json={"password": PASSWORD}).status_code == 204
    key = anna.call("POST", "/auth/api-keys", json=KEY).json()["key"]
    age_confirmation(anna, 601)
    asked = client().post("/auth/confirm", headers={"X-API-Key": key}, json={"password": PASSWORD})
    problem(asked, 403, "key_not_allowed")
    problem(client().post("/auth/confirm", json={"password": PASSWORD}), 401, "unauthorized")
    problem(anna.call("POST", "/auth/api-keys", json=KEY), 403, "confirmation_required")


@pytest.mark.parametrize("ended", ["by a new password", "by its owner", "by an administrator"])
def test_a_session_that_ends_while_its_password_is_compared_is_not_confirmed(
    ended: str, anna: Photographer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Photographer(client(), anna.email)
    here.sign_in()
    [session] = [one["id"] for one in anna.call("GET", "/auth/sessions").json() if one["current"]]
    compare = passwords.verify_password

    def late(password: str, hashed: str | None) -> bool:
        matches = compare(password, hashed)
        if ended == "by a new password":
            body = {"current_password": PASSWORD, "new_password": "Correct-Horse-8"}
            assert here.call("POST", "/auth/password", json=body).status_code == 204
        elif ended == "by its owner":
            assert here.call("DELETE", f"/auth/sessions/{session}").status_code == 204
        else:
            sql("UPDATE users SET is_active = false WHERE email = :email", email=anna.email)
        return matches

    monkeypatch.setattr(confirmation, "verify_password", late)
    problem(anna.call("POST", "/auth/confirm", json={"password": PASSWORD}), 401, "unauthorized")
    [(recent,)] = sql(
        "SELECT confirmed_at > now() - interval '10 minutes' FROM refresh_tokens"
        " WHERE family_id = :session AND generation = 0",
        session=session,
    )
    assert not recent


@pytest.mark.parametrize("revoke", [None, False, True])
def test_a_new_password_ends_the_keys_when_asked(revoke: bool | None) -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    keys = [one.call("POST", "/auth/api-keys", json=KEY).json()["key"] for one in (anna, anna, ben)]
    body: dict[str, object] = {"current_password": PASSWORD, "new_password": "Correct-Horse-8"}
    if revoke is not None:
        body["revoke_api_keys"] = revoke
    wrong = {**body, "current_password": "Wrong-Horse-7"}
    problem(anna.call("POST", "/auth/password", json=wrong), 403, "forbidden")
    problem(anna.call("POST", "/auth/password", json={**body, "revoke_api_keys": "yes"}), 422, "invalid")
    used = [client().get("/galleries", headers={"X-API-Key": key}).status_code for key in keys]
    assert used == [200, 200, 200]
    assert anna.call("POST", "/auth/password", json=body).status_code == 204
    used = [client().get("/galleries", headers={"X-API-Key": key}).status_code for key in keys]
    assert used == ([401, 401, 200] if revoke else [200, 200, 200])
    assert len(anna.call("GET", "/auth/api-keys").json()["items"]) == (0 if revoke else 2)


def test_a_stolen_token_of_an_administrator_gives_no_power_away() -> None:
    boss, friend = administrator(), Photographer.registered()
    friend_id = friend.call("GET", "/auth/me").json()["id"]
    age_confirmation(boss, 601)
    path = f"/admin/users/{friend_id}"
    problem(boss.call("PATCH", path, json={"is_admin": True}), 403, "confirmation_required")
    problem(boss.call("POST", "/admin/invitations", json={"email": "x@example.com"}), 403, "confirmation_required")
    assert sql("SELECT is_admin FROM users WHERE id = :id", id=friend_id) == [(False,)]
    # Who is no administrator is told so, and not asked for a password in vain.
    problem(friend.call("PATCH", path, json={"is_admin": True}), 403, "forbidden")
