"""Make the database roles and grant what `privileges` declares; without the ORM, for the local stack's quick start."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from scramp import ScramMechanism

from safelight.roles.privileges import GRANTS, SHARES

type Run = Callable[..., Any]
"""Runs SQL with `:named` parameters and returns its rows."""


class RolesNotMade(RuntimeError):
    """The roles cannot be used. The message says why and what to do; it contains no password."""


# A superuser passes pg_has_role for every role.
_UNMANAGEABLE = """
    SELECT r.name FROM unnest(cast(:roles AS text[])) AS r (name) LEFT JOIN pg_roles AS found ON found.rolname = r.name
    WHERE CASE WHEN found.oid IS NULL
        THEN NOT (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)
        ELSE NOT pg_has_role(found.oid, 'MEMBER WITH ADMIN OPTION') END
"""
_MISSING = """
    SELECT r.name FROM unnest(cast(:roles AS text[])) AS r (name)
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name)
"""
_USABLE_CONNECTIONS = """
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int
"""
_TOO_STRONG = """
    SELECT rolname FROM pg_roles WHERE rolname = ANY(cast(:roles AS text[])) AND (
        rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
        OR has_schema_privilege(oid, 'public', 'CREATE') OR has_database_privilege(oid, current_database(), 'TEMPORARY')
        OR EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid))
"""


def install(run: Run, passwords: Mapping[str, str]) -> None:
    """Make each role of `passwords`, set its password and connection limit, and grant exactly what is declared.

    Runs in the caller's transaction, as the owner of tables and database, after the migrations. Running it again
    changes nothing but the passwords' salts. Raises RolesNotMade.
    """
    unknown = sorted(set(passwords) ^ set(SHARES))
    if unknown:
        raise RolesNotMade(
            f"DATABASE_PASSWORDS must name exactly {', '.join(SHARES)}. Missing or unknown: {', '.join(unknown)}"
        )
    roles = list(passwords)
    # Two migrations at once must not change the same catalogue rows. No role has a right on this table, so no function
    # can hold the lock; an advisory lock would be anyone's.
    run("SET LOCAL lock_timeout = '30s'")
    run("LOCK TABLE alembic_version IN EXCLUSIVE MODE")
    [[database, owner]] = run("SELECT current_database(), current_user")
    [[connections]] = run(_USABLE_CONNECTIONS)
    if unmanageable := [name for [name] in run(_UNMANAGEABLE, roles=roles)]:
        raise RolesNotMade(
            f"The database user {owner} may not make or change the roles {', '.join(unmanageable)}: "
            "give it CREATEROLE, or remove DATABASE_PASSWORDS to run all functions as this user"
        )
    for [name] in run(_MISSING, roles=roles):
        run(f"CREATE ROLE {name} LOGIN")
    for name in roles:
        limit = connections * SHARES[name] // 100
        run(f"ALTER ROLE {name} LOGIN CONNECTION LIMIT {limit} PASSWORD '{_verifier(passwords[name])}'")
        # A role may change its own settings, for example to one that makes each of its statements fail.
        run(f"ALTER ROLE {name} RESET ALL")
        run(f"ALTER ROLE {name} IN DATABASE {_quoted(database)} RESET ALL")
    _grant(run, _quoted(database), roles)
    if strong := [name for [name] in run(_TOO_STRONG, roles=roles)]:
        raise RolesNotMade(
            f"The roles {', '.join(strong)} have more rights than they may: {owner} must own the database {database}, "
            "and the roles must be members of no other role and have no attribute such as SUPERUSER"
        )


def _grant(run: Run, database: str, roles: list[str]) -> None:
    everyone = ", ".join(roles)
    run(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    run(f"GRANT CONNECT ON DATABASE {database} TO {everyone}")
    run(f"GRANT USAGE ON SCHEMA public TO {everyone}")
    run(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {everyone}")
    for table, granted in GRANTS.items():
        for name, clause in granted.items():
            run(f"GRANT {clause} ON {table} TO {name}")


def _verifier(password: str) -> str:
    """What Postgres stores (PostgreSQL documentation, pg_authid): no statement and no log contains the password."""
    salt, stored_key, server_key, iterations = ScramMechanism("SCRAM-SHA-256").make_auth_info(password)
    salt, stored_key, server_key = (b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{salt}${stored_key}:{server_key}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
