"""Errors: every one is a problem document that tells enough and nothing more."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
from pg8000.native import Connection

from safelight.db import driver
from safelight.galleries import service as galleries
from safelight.shares import visits
from tests import product
from tests.api import PASSWORD, Photographer, client
from tests.functions.support import problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")


def test_what_does_not_exist_is_404_and_what_is_not_done_is_405() -> None:
    problem(client().get("/nothing/here"), 404, "not_found")
    answer = client().put("/auth/me")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/galleries", b'{"title": "canary-5471", "colour": "canary-5471"}'),
        ("/galleries", b'{"title": ["canary-5471"]}'),
        ("/galleries", b'{"title": "canary-5471'),
        ("/galleries", b'"canary-5471"'),
        ("/galleries", b'{"title": "canary-5471\\ud800"}'),
        ("/galleries", b'{"title": "canary-5471\\u0000"}'),
        ("/auth/register", b'{"email": "canary-5471 at nowhere", "password": "canary-5471"}'),
        ("/auth/login", b'{"email": {"canary-5471": 1}, "password": ["canary-5471"]}'),
        ("/auth/password", b'{"current_password": "canary-5471", "new_password": "canary-5471"}'),
    ],
)
def test_an_invalid_body_is_explained_and_not_repeated(path: str, body: bytes) -> None:
    anna = Photographer.registered()
    answer = anna.call("POST", path, content=body, headers={"Content-Type": "application/json"})
    assert all(error.keys() == {"field", "message"} for error in problem(answer, 422, "invalid")["errors"])
    assert "canary" not in answer.text


@pytest.mark.parametrize("body", [b'{"\\ud800": 1}', b"\xff\xfe", b"[" * 100_000, b'{"title": ' + b"9" * 5000 + b"}"])
def test_a_body_that_breaks_parsers_is_the_clients_mistake(body: bytes) -> None:
    answer = Photographer.registered().call(
        "POST", "/galleries", content=body, headers={"Content-Type": "application/json"}
    )
    problem(answer, answer.status_code, "invalid" if answer.status_code == 422 else "unreadable")
    assert answer.status_code in (400, 422)


def test_a_defect_is_a_500_that_says_nothing_about_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("canary-secret")

    anna = Photographer.registered()
    monkeypatch.setattr(galleries, "create", broken)
    answer = anna.call("POST", "/galleries", json={}, headers={"X-Request-Id": "known-to-the-caller"})
    problem(answer, 500, "error")
    assert "canary" not in answer.text
    assert answer.headers["x-request-id"] == "known-to-the-caller"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_commit_that_fails_is_never_a_success() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])
    sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$")
    for table in ("galleries", "share_events"):
        sql(
            f"CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    try:
        problem(anna.call("POST", "/galleries", json={"title": "lost"}), 500, "error")
        problem(client().get(f"/s/{share['share_id']}"), 500, "error")
    finally:
        sql("DROP FUNCTION refuse() CASCADE")
    assert len(anna.call("GET", "/galleries").json()["items"]) == 1
    assert anna.call("GET", f"/share-links/{share['share_id']}").json()["views"] == 0


@pytest.fixture
def no_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product with a database that nobody serves."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:canary-password@127.0.0.1:9/none")
    product.forget()
    yield
    monkeypatch.undo()
    product.forget()


@pytest.mark.usefixtures("no_postgres")
def test_without_postgres_every_answer_is_try_again(caplog: pytest.LogCaptureFixture) -> None:
    someone = {"email": "anna@example.com", "password": PASSWORD}
    for answer in (
        client().post("/auth/register", json=someone),
        client().get(f"/s/{uuid.uuid4()}"),
        client().get(f"/s/{uuid.uuid4()}/download/all"),
    ):
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    health = client().get("/health")
    assert health.status_code == 503
    assert health.json()["database"] == "unavailable"
    assert "database not reachable" in caplog.messages
    assert "canary" not in caplog.text


def test_a_connection_that_died_while_nobody_looked_is_replaced() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])
    assert client().get(f"/s/{share['share_id']}").status_code == 200
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for _ in range(3):
        assert client().get(f"/s/{share['share_id']}").status_code == 200
        assert anna.call("GET", "/galleries").status_code == 200


def test_a_connection_that_dies_in_the_middle_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])

    def die_then_list(session: object, *_: object) -> None:
        session.connection().exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")  # type: ignore[attr-defined]  # a Session

    def die_then_find(connection: Connection, _: str) -> None:
        connection.run("SELECT pg_terminate_backend(pg_backend_pid())")
        raise AssertionError("unreachable")

    monkeypatch.setattr(galleries, "list_page", die_then_list)
    monkeypatch.setattr(visits, "find", die_then_find)
    problem(anna.call("GET", "/galleries"), 503, "unavailable")
    problem(client().get(f"/s/{share['share_id']}"), 503, "unavailable")
    monkeypatch.undo()
    assert anna.call("GET", "/galleries").status_code == 200
    assert client().get(f"/s/{share['share_id']}").status_code == 200


# pg8000 turns times to UTC while it writes the query; this one has no UTC.
BEYOND = dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(-dt.timedelta(hours=23)))


def test_a_value_that_cannot_be_sent_leaves_no_answer_for_the_next_query() -> None:
    with pytest.raises(OverflowError):
        sql("SELECT CAST(:moment AS timestamptz)", moment=BEYOND)
    assert sql("SELECT 42") == [(42,)]
    with pytest.raises(OverflowError), driver.connection() as connection:
        connection.run("SELECT cast(:moment as timestamptz)", moment=BEYOND)
    with driver.connection() as connection:
        assert connection.run("SELECT 42") == [[42]]
