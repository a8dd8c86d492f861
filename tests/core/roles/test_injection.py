"""What somebody can do who smuggles SQL into a function: everything that leads out of the tables is refused."""

from __future__ import annotations

import pytest

from safelight.config import with_credentials
from safelight.roles.privileges import SHARES
from tests import product
from tests.core.roles.server import refused, session

COMMANDS = (
    "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null'",
    "COPY photos (filename) FROM PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/never-written'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT pg_stat_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/never-written')",
)
CODE = (
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION f(cstring) RETURNS int LANGUAGE c AS '/lib/libc.so.6', 'system'",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION pg_trgm",
    "LOAD '/lib/libc.so.6'",
)
SCHEMA = (
    "CREATE TABLE t (i int)",
    "CREATE TEMPORARY TABLE t (i int)",
    "CREATE SCHEMA s",
    "CREATE VIEW v AS SELECT 1",
    "CREATE DATABASE d",
    "ALTER TABLE photos ADD COLUMN c int",
    "ALTER TABLE photos DISABLE TRIGGER ALL",
    "DROP TABLE photos",
    "TRUNCATE photos CASCADE",
    "CREATE INDEX ON photos (id)",
    "CREATE TRIGGER t BEFORE INSERT ON jobs EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "COMMENT ON TABLE photos IS 'x'",
)
POWER = (
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SET ROLE safelight",
    "SET SESSION AUTHORIZATION safelight",
    "GRANT safelight TO CURRENT_USER",
    "GRANT pg_read_server_files TO CURRENT_USER",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
    "ALTER ROLE safelight PASSWORD 'x'",
    "CREATE ROLE r",
    "ALTER SYSTEM SET archive_command = 'true'",
    "SET session_replication_role = replica",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'safelight'",
    "ALTER TABLE photos OWNER TO CURRENT_USER",
    "CREATE POLICY p ON photos",
)


@pytest.mark.parametrize("role", SHARES)
@pytest.mark.parametrize("statements", [COMMANDS, CODE, SCHEMA, POWER], ids=["commands", "code", "schema", "power"])
def test_no_statement_leads_out_of_the_tables(url: str, role: str, statements: tuple[str, ...]) -> None:
    with session(url), session(with_credentials(url, role, product.ROLE_PASSWORDS[role])) as connection:
        for statement in statements:
            refused(connection, statement)


@pytest.mark.parametrize("role", SHARES)
def test_no_role_becomes_another(url: str, role: str) -> None:
    with session(with_credentials(url, role, product.ROLE_PASSWORDS[role])) as connection:
        for other in {*SHARES, "safelight"} - {role}:
            refused(connection, f"SET ROLE {other}")


def test_a_superuser_is_refused_none_of_the_commands(url: str) -> None:
    """The list tells the roles from what every function was before: these do work for the owner of this server."""
    with session(url) as owner:
        for statement in (*COMMANDS[:1], COMMANDS[3], COMMANDS[5], *SCHEMA[:2], POWER[0], POWER[2]):
            owner.run(statement)
