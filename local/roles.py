"""Database roles of the local stack: who gets which passwords, and making the roles at each start."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pg8000.exceptions import DatabaseError

from local.connect import connect
from local.home import Secrets
from local.process import StartError
from local.template import Template
from safelight.config import Settings, with_credentials
from safelight.roles.install import RolesNotMade
from safelight.roles.install import install as install_roles
from safelight.roles.privileges import DATA, SHARES


def passwords(configured: Settings, own: Secrets | None) -> dict[str, str]:
    """Passwords by role: the configured ones, else those of the embedded database's home; none for another database."""
    given = {role: password.get_secret_value() for role, password in configured.database_passwords.items()}
    return given or ({role: own.role_password(role) for role in SHARES} if own else {})


def warning(configured: Settings, known: Mapping[str, str]) -> str | None:
    """What to say at the start of a public server whose functions all connect as one user."""
    if known or not configured.is_public:
        return None
    return "every function can do all that DATABASE_URL's user can. Set DATABASE_PASSWORDS: see docs/operations.md"


def environments(
    common: Mapping[str, str], template: Template, known: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The environments of gateway and worker: `common`, where DATABASE_URL is the owner's, with only the secrets that
    their functions use. Without passwords of roles, both go on as the owner.
    """
    if not known:
        return dict(common), dict(common)
    functions = template.functions()
    behind_api = {functions[route.function].role for route in template.routes()}
    woken = {functions[name].role for name in template.workers().values()}
    # Code outside of functions, such as the worker's look at the jobs, runs as the role of most functions.
    url = with_credentials(common["DATABASE_URL"], DATA, known[DATA])

    def with_roles(used: set[str]) -> dict[str, str]:
        own = {role: password for role, password in known.items() if role in used}
        return {**common, "DATABASE_URL": url, "DATABASE_PASSWORDS": json.dumps(own)}

    worker = with_roles(woken)
    worker.pop("JWT_SECRET", None)  # nothing that it runs signs or checks tokens
    return with_roles(behind_api), worker


def install(owner_url: str, known: Mapping[str, str]) -> None:
    """Make the roles and grant what they may do. Raises StartError."""
    connection = connect(owner_url)
    try:
        connection.run("BEGIN")
        install_roles(connection.run, known)
        connection.run("COMMIT")
    except RolesNotMade as error:
        raise StartError(f"{error}.") from None
    except DatabaseError as error:
        raise StartError(f"The database roles could not be made: {error.args[0].get('M')}") from None
    finally:
        connection.close()
