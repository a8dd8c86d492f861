"""What each role may do, by the catalogue of a real server, is what is declared: no less and no more."""

from __future__ import annotations

import re

import pytest

from safelight.config import with_credentials
from safelight.models import Base
from safelight.roles.privileges import DATA, DOWNLOADS, GRANTS, PICTURES, SHARES, VISITS
from tests import product
from tests.core.roles.server import refused, session

COLUMNS_TOO = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
TABLES_ONLY = ("DELETE", "TRUNCATE", "TRIGGER", "MAINTAIN")

_EFFECTIVE = """
    SELECT r.rolname, c.relname, a.attname, p.name
    FROM pg_roles r, pg_class c, pg_attribute a, unnest(cast(:privileges AS text[])) AS p (name)
    WHERE r.rolname = ANY(cast(:roles AS text[]))
      AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
      AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege(r.oid, c.oid, a.attnum, p.name)
"""
_WHOLE = """
    SELECT r.rolname, c.relname, p.name FROM pg_roles r, pg_class c, unnest(cast(:privileges AS text[])) AS p (name)
    WHERE r.rolname = ANY(cast(:roles AS text[]))
      AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
      AND has_table_privilege(r.oid, c.oid, p.name)
"""


def declared() -> set[tuple[str, ...]]:
    """(role, table, column, privilege) and, for those that know no columns, (role, table, privilege)."""
    found: set[tuple[str, ...]] = set()
    for table, granted in GRANTS.items():
        every = [column.name for column in Base.metadata.tables[table].columns]
        for role, clause in granted.items():
            for privilege, columns in re.findall(r"([A-Z]+)(?: \(([^)]*)\))?", clause):
                if privilege in COLUMNS_TOO:
                    named = columns.split(", ") if columns else every
                    assert set(named) <= set(every), f"{table}: {columns}"
                    found |= {(role, table, column, privilege) for column in named}
                else:
                    assert privilege in TABLES_ONLY
                    assert not columns
                    found.add((role, table, privilege))
    return found


def test_every_table_has_its_row() -> None:
    assert set(GRANTS) == set(Base.metadata.tables)
    assert {role for granted in GRANTS.values() for role in granted} == set(SHARES)


def test_the_catalogue_says_what_is_declared(url: str) -> None:
    with session(url) as owner:
        found = owner.run(_EFFECTIVE, roles=list(SHARES), privileges=list(COLUMNS_TOO))
        found += owner.run(_WHOLE, roles=list(SHARES), privileges=list(TABLES_ONLY))
    assert {tuple(row) for row in found} == declared()
    assert len(found) > 500, "the walk saw the tables"


def test_an_undeclared_right_would_be_noticed(url: str) -> None:
    with session(url) as owner:
        owner.run(f"GRANT SELECT (email) ON users TO {VISITS}")
        found = {tuple(row) for row in owner.run(_EFFECTIVE, roles=list(SHARES), privileges=list(COLUMNS_TOO))}
    assert found - declared() == {(VISITS, "users", "email", "SELECT")}


def test_roles_own_nothing_and_use_no_sequence(url: str) -> None:
    with session(url) as owner:
        owned = (
            "SELECT relname FROM pg_class, pg_roles r WHERE r.oid = relowner AND rolname = ANY(cast(:roles AS text[]))"
        )
        assert owner.run(owned, roles=list(SHARES)) == []
        used = (
            "SELECT relname FROM pg_class c, pg_roles r WHERE relkind = 'S' AND rolname = ANY(cast(:roles AS text[]))"
            " AND has_sequence_privilege(r.oid, c.oid, 'USAGE, SELECT, UPDATE')"
        )
        assert owner.run("SELECT count(*) FROM pg_class WHERE relkind = 'S'") != [[0]]
        assert owner.run(used, roles=list(SHARES)) == []


# What must never be granted, whoever changes the table: accounts and their keys are no business of these.
NEVER = [
    (VISITS, "users", ("email", "username", "password_hash", "is_admin", "settings")),
    (VISITS, "refresh_tokens", None),
    (VISITS, "api_keys", None),
    (VISITS, "jobs", None),
    (VISITS, "erasures", None),
    (DOWNLOADS, "users", ("email", "username", "password_hash", "settings")),
    (DOWNLOADS, "refresh_tokens", ("token_hash", "user_agent", "ip")),
    (DOWNLOADS, "selections", ("name", "email", "note", "visitor")),
    (PICTURES, "users", None),
    (PICTURES, "refresh_tokens", None),
    (PICTURES, "api_keys", None),
    (PICTURES, "share_links", None),
    (PICTURES, "share_events", None),
    (PICTURES, "selections", None),
    (PICTURES, "selection_photos", None),
    (PICTURES, "throttles", None),
    (PICTURES, "visitor_salts", None),
    (PICTURES, "archives", None),
    (PICTURES, "erasures", None),
    (DATA, "alembic_version", None),
]


@pytest.mark.parametrize(("role", "table", "columns"), NEVER, ids=str)
def test_what_a_role_never_reads(url: str, role: str, table: str, columns: tuple[str, ...] | None) -> None:
    with session(url) as owner:
        listed = "SELECT attname FROM pg_attribute WHERE attrelid = cast(:table AS regclass) AND attnum > 0"
        every = {row[0] for row in owner.run(listed, table=table)}
    assert columns is None or set(columns) <= every
    with session(with_credentials(url, role, product.ROLE_PASSWORDS[role])) as connection:
        for column in columns or every:
            refused(connection, f"SELECT {column} FROM {table}")


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (PICTURES, "UPDATE share_links SET download = 'original'"),
        (PICTURES, "UPDATE users SET is_admin = true"),
        (PICTURES, "UPDATE photos SET gallery_id = gallery_id"),
        (PICTURES, "UPDATE photos SET deleted_at = NULL"),
        (PICTURES, "UPDATE photos SET s3_key = 'x'"),
        (PICTURES, "DELETE FROM photos"),
        (PICTURES, "DELETE FROM jobs"),
        (PICTURES, "UPDATE jobs SET kind = 'x'"),
        (PICTURES, "SELECT title FROM galleries"),
        (VISITS, "UPDATE share_links SET max_downloads = NULL"),
        (VISITS, "UPDATE share_links SET password_hash = NULL"),
        (VISITS, "UPDATE share_links SET revoked_at = NULL"),
        (VISITS, "DELETE FROM share_events"),
        (VISITS, "UPDATE share_events SET rolled_up = true"),
        (VISITS, "SELECT visitor FROM share_events"),
        (VISITS, "DELETE FROM archive_downloads"),
        (VISITS, "DELETE FROM throttles"),
        (VISITS, "UPDATE photos SET status = 'ready'"),
        (VISITS, "SELECT camera FROM photos"),
        (DOWNLOADS, "UPDATE share_links SET max_downloads = NULL"),
        (DOWNLOADS, "UPDATE photos SET s3_key = 'x'"),
        (DOWNLOADS, "UPDATE api_keys SET scopes = '{admin}'"),
        (DOWNLOADS, "INSERT INTO refresh_tokens DEFAULT VALUES"),
        (DOWNLOADS, "UPDATE jobs SET status = 'completed'"),
        (DATA, "UPDATE alembic_version SET version_num = '0'"),
        (DATA, "TRUNCATE photos CASCADE"),
    ],
)
def test_what_a_role_never_writes(url: str, role: str, statement: str) -> None:
    with session(with_credentials(url, role, product.ROLE_PASSWORDS[role])) as connection:
        refused(connection, statement)
