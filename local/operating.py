"""What the operator's commands share: a call of the `migrate` function on the database of this machine's stack."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from functions.migrate.app import handler
from local.home import Home
from local.postgres import Postgres
from safelight.config import Misconfigured
from safelight.errors import SafelightError, Unavailable
from safelight.roles.install import RolesNotMade
from safelight.roles.privileges import SHARES


class OperatorError(RuntimeError):
    """The command cannot be carried out; the text is for people."""


def ask(event: dict[str, Any]) -> dict[str, str]:
    """The function's answer, over DATABASE_URL or else the stack's own database. Raises OperatorError."""
    if not os.environ.get("DATABASE_URL"):
        home = Home(Path(os.environ.get("SAFELIGHT_HOME") or ".safelight"))
        port = home.known_port("postgres")
        if port is None:
            raise OperatorError("Nothing was ever started here: run make up first")
        own = home.secrets()
        os.environ["DATABASE_URL"] = Postgres(home.directory / "postgres", port, own.database_password).url
        if not os.environ.get("DATABASE_PASSWORDS"):
            os.environ["DATABASE_PASSWORDS"] = json.dumps({role: own.role_password(role) for role in SHARES})
    if not os.environ.get("BASE_URL"):
        os.environ["BASE_URL"] = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    # Settings are whole or not at all; neither of these is used.
    for name in ("BUCKET", "JWT_SECRET"):
        os.environ.setdefault(name, "not-used-by-this-command-and-long-enough")
    try:
        return handler(event, None)
    except Unavailable as error:
        raise OperatorError("The database does not answer: is Safelight running (make up)?") from error
    except SafelightError as error:
        raise OperatorError(error.detail) from error
    except (Misconfigured, RolesNotMade, ValueError) as error:
        raise OperatorError(str(error)) from error
