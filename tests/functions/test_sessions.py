"""Sessions: refresh tokens that rotate, access tokens that cannot be forged, cookies that stay at home."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import jwt
import pytest

from safelight.accounts import queries, service, sessions
from safelight.clock import now
from safelight.db.engine import transaction
from safelight.security import passwords, tokens
from safelight.security.subkeys import subkey
from tests import product
from tests.api import PASSWORD, Photographer, client
from tests.functions.support import in_parallel, problem, somebody_waits, sql

pytestmark = pytest.mark.usefixtures("shared_api")

KEY = subkey(product.JWT_SECRET, "access")


def refresh(token: str) -> httpx.Response:
    return client().post("/auth/refresh", json={"refresh_token": token})


def age(token: str, seconds: int) -> None:
    """Let the token have been used that much earlier."""
    sql(
        "UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => :seconds) WHERE token_hash = :hash",
        seconds=seconds, hash=tokens.refresh_token_hash(token),
    )  # fmt: skip


def test_a_refresh_token_is_replaced_with_every_use() -> None:
    first = Photographer.registered().tokens["refresh_token"]
    answer = refresh(first)
    assert answer.headers["cache-control"] == "no-store"
    pair = answer.json()
    assert pair.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 900)
    third = refresh(pair["refresh_token"]).json()["refresh_token"]
    assert len({first, pair["refresh_token"], third}) == 3
    assert sql("SELECT count(*) FROM refresh_tokens WHERE token_hash = :raw", raw=third.encode()) == [(0,)]


def test_the_same_retry_gets_the_same_successor_for_ten_seconds() -> None:
    first = Photographer.registered().tokens["refresh_token"]
    second = refresh(first).json()["refresh_token"]
    age(first, 9)
    assert refresh(first).json()["refresh_token"] == second
    assert refresh(second).status_code == 200


@pytest.mark.parametrize("how", ["late", "after the successor was used"])
def test_a_token_used_twice_ends_its_session_and_no_other(how: str) -> None:
    anna = Photographer.registered()
    first = anna.tokens["refresh_token"]
    anna.sign_in()
    other = anna.tokens["refresh_token"]
    last = refresh(first).json()["refresh_token"]
    if how == "late":
        age(first, 11)
    else:
        last = refresh(last).json()["refresh_token"]
    problem(refresh(first), 401, "refresh_token_reused")
    problem(refresh(last), 401, "unauthorized")  # the revocation was committed although the request failed
    assert refresh(other).status_code == 200


def test_fifty_parallel_refreshes_leave_exactly_one_live_token() -> None:
    first = Photographer.registered().tokens["refresh_token"]
    answers = in_parallel(50, lambda _: refresh(first))
    assert {answer.status_code for answer in answers} == {200}
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert len(successors) == 1
    [(live,)] = sql(
        "SELECT count(*) FROM refresh_tokens WHERE used_at IS NULL AND revoked_at IS NULL AND family_id ="
        " (SELECT family_id FROM refresh_tokens WHERE token_hash = :hash)",
        hash=tokens.refresh_token_hash(first),
    )
    assert live == 1


def test_a_refresh_that_runs_beside_a_new_password_is_ended_too() -> None:
    token = Photographer.registered().tokens["refresh_token"]
    nobody = sessions.Client(None, None)
    with transaction() as session:
        pair = sessions.refresh(session, token, nobody, product.JWT_SECRET, now())
        found = queries.lock_refresh_token(session, tokens.refresh_token_hash(token))
        assert found is not None
        user_id = found.user_id

        def end_all() -> None:
            with transaction() as other:
                queries.revoke_all(other, now(), user_id=user_id)

        ending = threading.Thread(target=end_all)
        ending.start()
        while not somebody_waits():
            time.sleep(0.01)
    ending.join()
    problem(refresh(pair.refresh_token), 401, "unauthorized")


def test_a_token_that_ran_out_or_never_was_is_refused() -> None:
    token = Photographer.registered().tokens["refresh_token"]
    sql("UPDATE refresh_tokens SET expires_at = now() WHERE token_hash = :h", h=tokens.refresh_token_hash(token))
    for given in (token, "never-issued", "", "\0", token + "x"):
        problem(refresh(given), 401, "unauthorized")
    problem(client().post("/auth/refresh"), 401, "unauthorized")


def test_logout_ends_the_session_by_cookie_and_by_body() -> None:
    anna = Photographer.registered()
    by_cookie = anna.tokens["refresh_token"]
    left = anna.http.post("/auth/logout")
    assert left.status_code == 204
    assert not anna.http.cookies
    problem(refresh(by_cookie), 401, "unauthorized")
    anna.sign_in()
    by_body = anna.tokens["refresh_token"]
    assert client().post("/auth/logout", json={"refresh_token": by_body}).status_code == 204
    problem(refresh(by_body), 401, "unauthorized")
    assert client().post("/auth/logout").status_code == 204


def test_the_refresh_cookie_is_for_this_site_and_no_script() -> None:
    anna = Photographer.registered()
    answer = anna.http.post("/auth/refresh")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("safelight_refresh=")
    assert {"httponly", "samesite=strict", "path=/", "max-age=2592000"} <= set(cookie.split("; "))
    assert "domain" not in cookie
    for origin in ("https://evil.example", "null"):
        for path in ("/auth/refresh", "/auth/logout"):
            problem(anna.http.post(path, headers={"Origin": origin}), 403, "forbidden")
    assert anna.http.post("/auth/refresh", headers={"Origin": product.BASE_URL}).status_code == 200


def test_another_sites_form_takes_no_cookie_away() -> None:
    """The browser keeps the cookie at home, but would do as the answer says."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    elsewhere: list[dict[str, str]] = [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
    ]
    for headers in elsewhere:
        answer = client().post("/auth/logout", headers=form | headers, content=b"")
        assert (answer.status_code, answer.headers.get("set-cookie")) == (204, None), headers
    here: list[dict[str, str]] = [{}, {"Origin": product.BASE_URL}, {"Sec-Fetch-Site": "same-origin"}]
    for headers in here:
        answer = client().post("/auth/logout", headers=headers)
        assert answer.headers["set-cookie"].startswith('safelight_refresh="";'), headers


def test_over_https_the_cookie_is_bound_to_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.config import settings

    anna = Photographer.registered()
    monkeypatch.setenv("BASE_URL", "https://photos.example")
    settings.cache_clear()
    try:
        body = {"refresh_token": anna.tokens["refresh_token"]}
        cookie = client().post("/auth/refresh", json=body).headers["set-cookie"]
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert cookie.startswith("__Host-safelight_refresh=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))


def _claims(**changed: Any) -> dict[str, Any]:
    moment = now()
    return {
        "sub": str(uuid.uuid4()),
        "aud": "safelight",
        "iat": moment,
        "exp": moment + dt.timedelta(minutes=5),
    } | changed


def _unsigned(claims: dict[str, Any], alg: str = "none") -> str:
    parts = [{"alg": alg, "typ": "at+jwt"}, {**claims, "iat": 0, "exp": 2**40}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def _signed_with(key: bytes, claims: dict[str, Any]) -> str:
    """As our tokens, by a key that the library would refuse to sign with."""
    signed = _unsigned(claims, "HS256").rstrip(".")
    mac = hmac.digest(key, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_only_a_fresh_access_token_of_ours_is_let_in() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    mine, his = (jwt.decode(one.tokens["access_token"], KEY, ["HS256"], audience="safelight") for one in (anna, ben))
    who = {"sub": mine["sub"], "sid": mine["sid"]}
    typ = {"typ": "at+jwt"}
    past = now() - dt.timedelta(hours=1)

    def signed(key: bytes | str = KEY, algorithm: str = "HS256", head: dict[str, Any] = typ, **claims: Any) -> str:
        return jwt.encode({**_claims(**who), **claims}, key, algorithm, headers=head)

    def without(claim: str) -> str:
        return jwt.encode({k: v for k, v in _claims(**who).items() if k != claim}, KEY, "HS256", headers=typ)

    good = signed()
    head, body, signature = good.split(".")
    forged = {
        "no algorithm": _unsigned(_claims(**who)),
        "no algorithm, in capitals": _unsigned(_claims(**who), alg="NONE"),
        "another algorithm of the same key": signed(KEY * 2, "HS512"),
        "another key": signed(b"x" * 32),
        "an empty key": _signed_with(b"", _claims(**who)),
        "the secret itself as key": signed(product.JWT_SECRET),
        "a key named by the token": signed(b"x" * 32, head={**typ, "kid": "../../../../dev/null"}),
        "a key brought by the token": signed(
            b"x" * 32, head={**typ, "jwk": {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}}
        ),
        "a key fetched by the token": signed(b"x" * 32, head={**typ, "jku": "http://127.0.0.1:9/keys"}),
        "no type": signed(head={"typ": None}),
        "an ordinary type": signed(head={"typ": "JWT"}),
        "another audience": signed(aud="other"),
        "no audience": signed(aud=None),
        "ran out": signed(iat=past, exp=past),
        "not yet made": signed(iat=now() + dt.timedelta(hours=1)),
        "no end": without("exp"),
        "no session": without("sid"),
        "no user": without("sub"),
        "nobody": signed(sub=str(uuid.uuid4())),
        "another's session": signed(sid=his["sid"]),
        "a session that never was": signed(sid=str(uuid.uuid4())),
        "no user's id at all": signed(sub="root"),
        "cut off": good[:-4],
        "no signature": f"{head}.{body}.",
        "one bit": f"{head}.{body}.{('B' if signature[0] == 'A' else 'A') + signature[1:]}",
        "a part too many": f"{good}.{signature}",
        "a refresh token": anna.tokens["refresh_token"],
        "nonsense": "a.b.c",
    }
    assert len(forged) >= 24
    assert client().get("/auth/me", headers={"Authorization": f"Bearer {good}"}).status_code == 200
    for name, token in forged.items():
        answer = client().get("/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.headers["www-authenticate"] == "Bearer", name
        problem(answer, 401, "unauthorized")
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        problem(client().get("/auth/me", headers=headers), 401, "unauthorized")


def test_sessions_are_listed_and_one_that_is_ended_is_out_at_its_next_request() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    phone = Photographer(client(), anna.email)
    phone.http.headers["user-agent"] = "Anna's phone"
    phone.sign_in()
    listed = anna.call("GET", "/auth/sessions").json()
    assert (listed[0]["user_agent"], listed[0]["current"]) == ("Anna's phone", False)
    assert [one["current"] for one in listed] == [False, True]
    assert {one["ip"] for one in listed} == {"127.0.0.1"}
    family = listed[0]["id"]
    refreshed = phone.http.post("/auth/refresh").json()
    again = anna.call("GET", "/auth/sessions").json()
    assert [one["id"] for one in again] == [one["id"] for one in listed]
    assert again[0]["last_used_at"] > listed[0]["last_used_at"]
    assert again[0]["created_at"] == listed[0]["created_at"]
    problem(ben.call("DELETE", f"/auth/sessions/{family}"), 404, "not_found")
    assert phone.call("GET", "/auth/me").status_code == 200
    assert anna.call("DELETE", f"/auth/sessions/{family}").status_code == 204
    problem(anna.call("DELETE", f"/auth/sessions/{family}"), 404, "not_found")
    problem(phone.call("GET", "/auth/me"), 401, "unauthorized")
    problem(phone.http.post("/auth/refresh"), 401, "unauthorized")
    problem(client().post("/auth/refresh", json={"refresh_token": refreshed["refresh_token"]}), 401, "unauthorized")
    assert len(anna.call("GET", "/auth/sessions").json()) == 1
    assert anna.call("GET", "/auth/me").status_code == 200


def test_signing_out_ends_the_access_token_too() -> None:
    anna = Photographer.registered()
    assert anna.http.post("/auth/logout").status_code == 204
    problem(anna.call("GET", "/auth/me"), 401, "unauthorized")


def test_a_password_change_leaves_only_the_session_that_made_it() -> None:
    anna = Photographer.registered()
    others = [Photographer(client(), anna.email) for _ in range(2)]
    for other in others:
        other.sign_in()
    body = {"current_password": PASSWORD, "new_password": "Correct-Horse-8"}
    assert anna.call("POST", "/auth/password", json=body).status_code == 204
    assert [one.call("GET", "/auth/me").status_code for one in (anna, *others)] == [200, 401, 401]
    assert anna.http.post("/auth/refresh").status_code == 200


def test_signing_in_with_the_old_password_while_it_changes_leaves_no_session() -> None:
    """Whoever is compared while the password changes is either ended with the others or not let in."""
    anna = Photographer.registered()
    new = "Correct-Horse-8"

    def act(turn: int) -> httpx.Response:
        if turn == 3:
            body = {"current_password": PASSWORD, "new_password": new}
            return anna.call("POST", "/auth/password", json=body)
        return client().post("/auth/login", json={"email": anna.email, "password": PASSWORD})

    answers = in_parallel(8, act, threads=8)
    assert answers[3].status_code == 204
    tokens = [answer.json()["access_token"] for turn, answer in enumerate(answers) if turn != 3 and answer.is_success]
    for token in tokens:
        assert client().get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert len(anna.call("GET", "/auth/sessions").json()) == 1


@pytest.mark.parametrize("second", ["a new password", "a deletion"])
def test_an_account_is_closed_beside_another_change_and_neither_waits_for_ever(second: str) -> None:
    """The account is locked before its sessions: the other way round, each would have what the other needs."""
    anna = Photographer.registered()
    user_id = uuid.UUID(anna.call("GET", "/auth/me").json()["id"])
    [here] = [uuid.UUID(one["id"]) for one in anna.call("GET", "/auth/sessions").json()]
    with ThreadPoolExecutor(1) as pool, transaction() as session:
        user = queries.user_by_id(session, user_id)
        assert user is not None
        assert queries.keep_password(session, user, to_change=True)
        closing = pool.submit(anna.call, "DELETE", "/auth/me")
        while not somebody_waits():
            time.sleep(0.01)
        if second == "a new password":
            queries.revoke_all(session, now(), user_id=user_id, keep=here)
        else:
            service.delete(session, user, here, now())
        session.commit()
        assert closing.result(30).status_code == (204 if second == "a new password" else 401)
    problem(client().post("/auth/login", json={"email": anna.email, "password": PASSWORD}), 401, "unauthorized")
    assert sql("SELECT count(*) FROM users WHERE id = :id AND deleted_at IS NOT NULL", id=user_id) == [(1,)]
    assert sql("SELECT count(*) FROM refresh_tokens WHERE user_id = :id AND revoked_at IS NULL", id=user_id) == [(0,)]


class Comparing:
    """Holds up the first comparison of a password, right after it was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._compare, self._first = passwords.verify_password, threading.Lock()
        self.compared, self.go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(service, "verify_password", self._held)

    def _held(self, password: str, hashed: str | None) -> bool:
        matches = self._compare(password, hashed)
        if self._first.acquire(blocking=False):
            self.compared.set()
            assert self.go_on.wait(30)
        return matches

    def meanwhile(self, asked: Callable[[], httpx.Response], then: Callable[[], None]) -> httpx.Response:
        """The answer to what is asked, where `then` happens while its password is compared."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(asked)
            try:
                assert self.compared.wait(30)
                then()
            finally:
                self.go_on.set()
            return waiting.result(30)


@pytest.mark.parametrize("ended", ["by a new password", "by its owner", "by an administrator"])
def test_a_session_that_ends_while_its_password_is_compared_sets_no_other(
    ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = Photographer.registered()
    thief = Photographer(client(), anna.email)
    thief.sign_in()
    [stolen] = [one["id"] for one in thief.call("GET", "/auth/sessions").json() if one["current"]]
    kept = "Correct-Horse-8" if ended == "by a new password" else PASSWORD

    def end() -> None:
        if ended == "by a new password":
            body = {"current_password": PASSWORD, "new_password": kept}
            assert anna.call("POST", "/auth/password", json=body).status_code == 204
        elif ended == "by its owner":
            assert anna.call("DELETE", f"/auth/sessions/{stolen}").status_code == 204
        else:
            sql("UPDATE users SET is_active = false WHERE email = :email", email=anna.email)

    body = {"current_password": PASSWORD, "new_password": "Stolen-Horse-9"}
    late = Comparing(monkeypatch).meanwhile(lambda: thief.call("POST", "/auth/password", json=body), end)
    problem(late, 401, "unauthorized")
    sql("UPDATE users SET is_active = true WHERE email = :email", email=anna.email)
    statuses = [
        client().post("/auth/login", json={"email": anna.email, "password": password}).status_code
        for password in ("Stolen-Horse-9", kept)
    ]
    assert statuses == [401, 200]


def test_one_session_sets_two_passwords_at_once_and_the_first_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    bodies = [{"current_password": PASSWORD, "new_password": f"Correct-Horse-{n}"} for n in (8, 9)]

    def first() -> None:
        assert anna.call("POST", "/auth/password", json=bodies[0]).status_code == 204

    late = Comparing(monkeypatch).meanwhile(lambda: anna.call("POST", "/auth/password", json=bodies[1]), first)
    problem(late, 401, "unauthorized")
    assert client().post("/auth/login", json={"email": anna.email, "password": "Correct-Horse-8"}).is_success


def test_signing_in_while_the_account_is_kept_out_leaves_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would come alive when the account is let in again."""
    anna, boss = Photographer.registered(), Photographer.registered()
    sql("UPDATE users SET is_admin = true WHERE email = :email", email=boss.email)
    path = f"/admin/users/{anna.call('GET', '/auth/me').json()['id']}"

    def keep_out() -> None:
        assert boss.call("PATCH", path, json={"is_active": False}).status_code == 200

    login = {"email": anna.email, "password": PASSWORD}
    late = Comparing(monkeypatch).meanwhile(lambda: client().post("/auth/login", json=login), keep_out)
    problem(late, 401, "unauthorized")
    assert boss.call("PATCH", path, json={"is_active": True}).status_code == 200
    anna.sign_in()
    assert len(anna.call("GET", "/auth/sessions").json()) == 1


def test_a_session_is_forgotten_when_all_of_it_has_run_out_and_a_day_has_passed() -> None:
    from safelight.queue import Queue
    from safelight.storage import storage
    from safelight.sweep import sweep

    def age(token: str, days: float) -> None:
        sql(
            "UPDATE refresh_tokens SET expires_at = now() - make_interval(secs => :age) WHERE token_hash = :hash",
            age=days * 86400, hash=tokens.refresh_token_hash(token),
        )  # fmt: skip

    def generations() -> list[int]:
        sweep(storage(), Queue())
        found = sql("SELECT generation FROM refresh_tokens WHERE user_id = :anna ORDER BY generation", anna=anna_id)
        return [number for (number,) in found]

    anna = Photographer.registered()
    anna_id = anna.call("GET", "/auth/me").json()["id"]
    chain = [anna.tokens["refresh_token"]]
    for _ in range(2):
        answer = client().post("/auth/refresh", json={"refresh_token": chain[-1]})
        chain.append(answer.json()["refresh_token"])
    age(chain[1], 0.9)
    assert generations() == [0, 1, 2]
    age(chain[0], 3)
    age(chain[1], 2)
    assert generations() == [0, 2]  # what refreshing locks, and what is still good
    assert client().post("/auth/refresh", json={"refresh_token": chain[2]}).status_code == 200
    sql("UPDATE refresh_tokens SET expires_at = now() - interval '25 hours' WHERE user_id = :anna", anna=anna_id)
    assert generations() == []
