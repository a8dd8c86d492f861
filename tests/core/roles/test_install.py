"""Making the roles: again and again, by a superuser or not, and never half."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pg8000.exceptions import DatabaseError

from functions.migrate.app import handler
from local.postgres import Postgres
from safelight.config import with_credentials
from safelight.db import driver
from safelight.errors import Unavailable
from safelight.roles import install as installing
from safelight.roles.install import RolesNotMade
from safelight.roles.privileges import PICTURES, SHARES, VISITS
from tests import product
from tests.core.roles.server import database_of_an_ordinary_owner, install_as, session, settings_of

PASSWORDS = product.ROLE_PASSWORDS

_STATE = """
    SELECT json_agg(json_build_array(relname, relacl::text, attacl) ORDER BY relname)::text FROM (
        SELECT c.oid, c.relname, c.relacl, string_agg(a.attname || a.attacl::text, ' ' ORDER BY attname) AS attacl
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND relkind = 'r' GROUP BY c.oid, c.relname, c.relacl) AS tables
"""


def state(url: str) -> Any:
    with session(url) as owner:
        return owner.run(_STATE)


def signs_in(url: str, role: str, password: str) -> bool:
    try:
        with session(with_credentials(url, role, password)) as connection:
            return bool(connection.run("SELECT current_user") == [[role]])
    except DatabaseError as error:
        if error.args[0]["C"] != "28P01":  # invalid_password
            raise
        return False


def test_twice_is_as_once_and_an_old_grant_goes(url: str) -> None:
    before = state(url)
    with session(url) as owner:
        owner.run(f"GRANT SELECT, UPDATE (email) ON users TO {VISITS}")
    assert state(url) != before
    install_as(url, PASSWORDS)
    assert state(url) == before


def test_a_new_password_replaces_the_old_one(url: str) -> None:
    assert signs_in(url, VISITS, PASSWORDS[VISITS])
    install_as(url, PASSWORDS | {VISITS: "another"})
    assert not signs_in(url, VISITS, PASSWORDS[VISITS])
    assert signs_in(url, VISITS, "another")
    install_as(url, PASSWORDS)
    assert signs_in(url, VISITS, PASSWORDS[VISITS])


def test_what_a_role_set_for_itself_is_reset(url: str) -> None:
    own = with_credentials(url, VISITS, PASSWORDS[VISITS])
    database = url.rpartition("/")[2].partition("?")[0]
    with session(own) as visits:
        visits.run("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
        visits.run(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET statement_timeout = '1ms'")
    install_as(url, PASSWORDS)
    with session(own) as visits:
        found = visits.run("SELECT name FROM pg_settings WHERE source IN ('user', 'database user')")
    assert found == []


def test_what_everyone_was_given_is_taken_back(url: str) -> None:
    before = state(url)
    with session(url) as owner:
        owner.run("GRANT SELECT ON users, alembic_version TO PUBLIC")
    install_as(url, PASSWORDS)
    assert state(url) == before
    with session(with_credentials(url, VISITS, PASSWORDS[VISITS])) as visits, pytest.raises(DatabaseError):
        visits.run("SELECT password_hash FROM users")


def test_no_role_can_hold_up_a_migration_by_a_lock(url: str) -> None:
    with session(with_credentials(url, VISITS, PASSWORDS[VISITS])) as visits:
        with pytest.raises(DatabaseError):
            visits.run("LOCK TABLE alembic_version IN ACCESS SHARE MODE")
        visits.run("SELECT pg_advisory_lock(key) FROM generate_series(5417000, 5417100) AS key")
        install_as(url, PASSWORDS)
        with product.configured(settings_of(url)):
            assert handler({}, None)["revision"]


def test_two_migrations_at_once_take_turns(url: str) -> None:
    with session(url) as first, session(url) as second:
        first.run("BEGIN")
        installing.install(first.run, PASSWORDS)
        second.run("BEGIN")
        second.run("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(DatabaseError, match="lock timeout"):
            second.run("LOCK TABLE alembic_version IN EXCLUSIVE MODE")
        second.run("ROLLBACK")
        first.run("ROLLBACK")


def test_no_statement_holds_a_password(url: str) -> None:
    sent: list[str] = []
    with session(url) as owner:

        def run(sql: str, **values: Any) -> Any:
            sent.append(f"{sql} {values}")
            return owner.run(sql, **values)

        owner.run("BEGIN")
        installing.install(run, PASSWORDS)
        owner.run("ROLLBACK")
    assert sum("PASSWORD 'SCRAM-SHA-256$" in one for one in sent) == len(PASSWORDS)
    assert not any(password in one for one in sent for password in PASSWORDS.values())


def test_what_fails_half_way_changes_nothing(url: str) -> None:
    with session(url) as owner:
        owner.run("DROP TABLE throttles")
    before = state(url)
    with pytest.raises(DatabaseError):
        install_as(url, PASSWORDS | {VISITS: "half-way"})
    assert state(url) == before
    assert not signs_in(url, VISITS, "half-way")


def test_all_roles_together_leave_connections_to_the_owner(url: str) -> None:
    with session(url) as owner:
        rows = owner.run("SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname LIKE 'safelight\\_%'")
        [[most]] = owner.run(
            "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        )
    limits = dict(rows)
    assert set(limits) == set(SHARES)
    assert min(limits.values()) > 0
    assert sum(limits.values()) <= 0.95 * most
    assert sum(SHARES.values()) <= 95


def test_a_role_at_its_limit_is_unavailable_and_the_others_are_not(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(installing, "SHARES", dict.fromkeys(SHARES, 20) | {PICTURES: 1})
        install_as(url, PASSWORDS)
    with session(url) as owner:
        [[limit]] = owner.run("SELECT rolconnlimit FROM pg_roles WHERE rolname = :role", role=PICTURES)
    own = with_credentials(url, PICTURES, PASSWORDS[PICTURES])
    with product.configured(settings_of(own)), contextlib.ExitStack() as held:
        for _ in range(limit):
            held.enter_context(driver.connection())
        with pytest.raises(Unavailable), driver.connection():
            pass
        assert signs_in(url, VISITS, PASSWORDS[VISITS])
    install_as(url, PASSWORDS)


@pytest.fixture
def ordinary(server: Postgres) -> Iterator[str]:
    """A database whose owner is no superuser but may make roles, as the master user of RDS is."""
    with session(server.url_of("postgres")) as superuser:
        for role in SHARES:  # of other databases: RDS has none, and this owner must not meet roles it has not made
            for [database] in superuser.run("SELECT datname FROM pg_database WHERE datname LIKE 'roles\\_%'"):
                server.drop(database)
            with contextlib.suppress(DatabaseError):
                superuser.run(f"DROP OWNED BY {role}")
            superuser.run(f"DROP ROLE IF EXISTS {role}")
    made = database_of_an_ordinary_owner(server, "NOSUPERUSER CREATEROLE CREATEDB")
    yield made
    name = made.rpartition("/")[2].partition("?")[0]
    server.drop(name)
    with session(server.url_of("postgres")) as superuser:
        for role in SHARES:
            superuser.run(f"DROP ROLE IF EXISTS {role}")


def test_the_master_user_of_a_managed_server_migrates_makes_the_roles_and_rotates(ordinary: str) -> None:

    variables = settings_of(ordinary)
    for passwords in (PASSWORDS, PASSWORDS | {VISITS: "rotated"}):
        with product.configured(variables | {"DATABASE_PASSWORDS": json.dumps(passwords)}):
            assert handler({}, None)["revision"]
        for role, password in passwords.items():
            assert signs_in(ordinary, role, password)
    assert not signs_in(ordinary, VISITS, PASSWORDS[VISITS])


def test_an_owner_who_may_make_no_roles_is_told_what_to_do(server: Postgres) -> None:

    url = database_of_an_ordinary_owner(server, "NOSUPERUSER")
    variables = settings_of(url)
    given = variables | {"DATABASE_PASSWORDS": json.dumps(PASSWORDS)}
    with (
        product.configured(given),
        pytest.raises(RolesNotMade, match="give it CREATEROLE, or remove DATABASE_PASSWORDS"),
    ):
        handler({}, None)
    with product.configured(variables):
        assert handler({}, None)["revision"], "without them everything runs as before"


@pytest.mark.parametrize(("address", "warned"), [("https://photos.example", 1), ("http://127.0.0.1:8000", 0)])
def test_one_user_for_everything_is_worth_a_warning_where_others_can_reach_it(
    url: str, address: str, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    with product.configured(settings_of(url) | {"BASE_URL": address}), caplog.at_level(logging.WARNING):
        handler({}, None)
    assert sum("DATABASE_PASSWORDS" in record.getMessage() for record in caplog.records) == warned


@pytest.mark.parametrize(
    ("strengthen", "undo"),
    [
        (f"ALTER ROLE {VISITS} CREATEROLE", f"ALTER ROLE {VISITS} NOCREATEROLE"),
        (f"ALTER ROLE {VISITS} SUPERUSER", f"ALTER ROLE {VISITS} NOSUPERUSER"),
        (f"GRANT pg_read_all_data TO {VISITS}", f"REVOKE pg_read_all_data FROM {VISITS}"),
        (f"GRANT CREATE ON SCHEMA public TO {VISITS}", f"REVOKE CREATE ON SCHEMA public FROM {VISITS}"),
    ],
)
def test_a_role_that_can_do_more_is_refused(url: str, strengthen: str, undo: str) -> None:
    with session(url) as owner:
        owner.run(strengthen)
        try:
            with pytest.raises(RolesNotMade, match=VISITS):
                install_as(url, PASSWORDS)
        finally:
            owner.run(undo)


def test_every_role_needs_a_password_and_no_other_is_known(url: str) -> None:
    without = {role: password for role, password in PASSWORDS.items() if role != VISITS}
    for passwords, named in ((without, VISITS), (PASSWORDS | {"someone": "x"}, "someone")):
        with pytest.raises(RolesNotMade, match=f"Missing or unknown: {named}"):
            install_as(url, passwords)
