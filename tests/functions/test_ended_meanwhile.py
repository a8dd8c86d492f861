"""A session or a row that is ended while a request is under way: the request changes nothing after it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from safelight.accounts import operators, queries
from safelight.models import User
from tests.api import PASSWORD, Photographer, client
from tests.functions.access import promote
from tests.functions.support import problem, somebody_waits, sql

pytestmark = pytest.mark.usefixtures("shared_api")

NEW = {"current_password": PASSWORD, "new_password": "Correct-Horse-8"}
KEY = {"name": "waiting", "scopes": ["read"]}


class Beside:
    """Sends a request in the middle of a change, and lets the change go on once the request is answered or waits."""

    def __init__(self, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pool, self._patch = pool, monkeypatch
        self._sent: list[Future[httpx.Response]] = []

    def when(self, where: Any, name: str, asked: Callable[[], httpx.Response]) -> None:
        """Send it when the change gets to this function."""
        original = getattr(where, name)

        def held(*args: Any, **named: Any) -> Any:
            if not self._sent:
                self._sent.append(self._pool.submit(asked))
                while not self._sent[0].done() and not somebody_waits():
                    time.sleep(0.01)
            return original(*args, **named)

        self._patch.setattr(where, name, held)

    @property
    def answer(self) -> httpx.Response:
        return self._sent[0].result(30)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    with ThreadPoolExecutor(1) as pool:
        yield Beside(pool, monkeypatch)


def me(someone: Photographer) -> Any:
    return someone.call("GET", "/auth/me").json()


def boss() -> Photographer:
    someone = Photographer.registered()
    promote(someone)
    return someone


@pytest.mark.parametrize("taken", ["by make admin", "by a new password", "by an administrator", "by its deletion"])
def test_an_account_that_is_taken_away_gets_no_key_any_more(taken: str, beside: Beside) -> None:
    """Else whoever registered an administrator's address before would be one, by a key that nobody knows of."""
    anna, admin = Photographer.registered(), boss()
    thief = Photographer(client(), anna.email)
    thief.sign_in()
    anna_id = me(anna)["id"]
    path = f"/admin/users/{anna_id}"
    take: dict[str, Callable[[], object]] = {
        "by make admin": lambda: operators.first_admin(anna.email),
        "by a new password": lambda: anna.call("POST", "/auth/password", json=NEW).raise_for_status(),
        "by an administrator": lambda: admin.call("PATCH", path, json={"is_active": False}).raise_for_status(),
        "by its deletion": lambda: anna.call("DELETE", "/auth/me").raise_for_status(),
    }
    beside.when(queries, "revoke_all", lambda: thief.call("POST", "/auth/api-keys", json=KEY))
    take[taken]()
    problem(beside.answer, 401, "unauthorized")
    assert sql("SELECT count(*) FROM api_keys WHERE user_id = :id AND revoked_at IS NULL", id=anna_id) == [(0,)]


@pytest.mark.parametrize(
    "what", ["its names", "its settings", "its existence", "a key", "another session", "another key"]
)
def test_a_session_that_was_ended_changes_nothing_of_the_account(what: str, beside: Beside) -> None:
    anna = Photographer.registered()
    thief = Photographer(client(), anna.email)
    thief.sign_in()
    made = anna.call("POST", "/auth/api-keys", json=KEY).json()["id"]
    [kept] = [one["id"] for one in anna.call("GET", "/auth/sessions").json() if one["current"]]
    requests: dict[str, tuple[str, str, object]] = {
        "its names": ("PATCH", "/auth/me", {"email": f"{uuid.uuid4().hex}@example.com"}),
        "its settings": ("PATCH", "/auth/me", {"settings": {"a": 1}}),
        "its existence": ("DELETE", "/auth/me", None),
        "a key": ("DELETE", f"/auth/api-keys/{made}", None),
        "another session": ("DELETE", f"/auth/sessions/{kept}", None),
        "another key": ("POST", "/auth/api-keys", KEY),
    }
    method, path, body = requests[what]
    before = me(anna)
    beside.when(queries, "revoke_all", lambda: thief.call(method, path, json=body))
    assert anna.call("POST", "/auth/password", json=NEW).status_code == 204
    problem(beside.answer, 401, "unauthorized")
    assert me(anna) == before
    assert [one["id"] for one in anna.call("GET", "/auth/api-keys").json()["items"]] == [made]


def test_of_two_sessions_that_end_each_other_one_stays(beside: Beside) -> None:
    one, other = Photographer.registered(), Photographer()
    other.email = one.email
    other.sign_in()
    [mine] = [each["id"] for each in one.call("GET", "/auth/sessions").json() if each["current"]]
    [its] = [each["id"] for each in other.call("GET", "/auth/sessions").json() if each["current"]]
    beside.when(queries, "has_session", lambda: other.call("DELETE", f"/auth/sessions/{mine}"))
    assert one.call("DELETE", f"/auth/sessions/{its}").status_code == 204
    problem(beside.answer, 401, "unauthorized")
    assert one.call("GET", "/auth/me").status_code == 200


@pytest.mark.parametrize("how", ["kept out", "no administrator any more", "with another password"])
def test_an_administrator_who_was_kept_out_makes_no_other(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rogue, admin, friend = boss(), boss(), Photographer.registered()
    rogue_id, friend_id = me(rogue)["id"], me(friend)["id"]
    here = Photographer(client(), rogue.email)
    here.sign_in()

    def promoted() -> httpx.Response:
        return rogue.call("PATCH", f"/admin/users/{friend_id}", json={"is_admin": True})

    def keep_out() -> None:
        if how == "with another password":
            assert here.call("POST", "/auth/password", json=NEW).status_code == 204
        else:
            out = {"is_admin": False} if how == "no administrator any more" else {"is_active": False}
            assert admin.call("PATCH", f"/admin/users/{rogue_id}", json=out).status_code == 200

    lock_user = queries.lock_user

    def late(session: Session, user_id: uuid.UUID) -> User | None:
        if str(user_id) == friend_id:
            keep_out()
        return lock_user(session, user_id)

    monkeypatch.setattr(queries, "lock_user", late)
    problem(promoted(), 401, "unauthorized")
    assert sql("SELECT is_admin FROM users WHERE id = :id", id=friend_id) == [(False,)]


def test_nobody_renames_the_account_that_is_being_promoted(beside: Beside) -> None:
    anna = Photographer.registered()
    anna_id, other = me(anna)["id"], f"{uuid.uuid4().hex}@example.com"
    beside.when(operators, "hash_password", lambda: anna.call("PATCH", "/auth/me", json={"email": other}))
    password = operators.first_admin(anna.email).password
    problem(beside.answer, 401, "unauthorized")
    assert sql("SELECT email, is_admin FROM users WHERE id = :id", id=anna_id) == [(anna.email, True)]
    assert client().post("/auth/login", json={"email": anna.email, "password": password}).status_code == 200


@pytest.mark.parametrize(
    ("method", "thing", "body"),
    [
        ("PATCH", "photos", {"title": "late"}),
        ("DELETE", "photos", None),
        ("PATCH", "galleries", {"title": "late"}),
        ("PATCH", "share_links", {"label": "late"}),
    ],
)
def test_what_was_erased_before_it_is_changed_is_not_there(
    method: str, thing: str, body: dict[str, str] | None
) -> None:
    """As the sweep does right after a deletion: the row was read, and is gone when the change is written."""
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    ids = {"photos": anna.upload(gallery), "galleries": gallery, "share_links": anna.share(gallery)["share_id"]}

    erased: list[str] = []

    def erase(*_: object) -> None:
        if not erased:
            erased.append(thing)
            sql(f"DELETE FROM {thing} WHERE id = :id", id=ids[thing])

    event.listen(Session, "before_flush", erase)
    try:
        answer = anna.call(method, f"/{thing.replace('_', '-')}/{ids[thing]}", json=body)
    finally:
        event.remove(Session, "before_flush", erase)
    assert erased == [thing]
    problem(answer, 404, "not_found")
