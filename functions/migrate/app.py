"""Brings the database to the newest revision, and makes the first administrator; invoked by whoever deploys."""

from pathlib import Path
from typing import Any

from safelight.accounts.service import first_admin
from safelight.db.migrate import upgrade
from safelight.telemetry import logger

log = logger()
# Beside this file in the deployed package; at the root of a checkout.
ROOT = next(folder for folder in (Path(__file__).parent, *Path(__file__).parents) if (folder / "alembic.ini").exists())


def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Upgrade; the answer names the revision the database has now.

    With `{"admin": "EMAIL"}` that account is made or becomes an administrator's; the answer alone holds its password.
    """
    revision = upgrade(ROOT / "alembic.ini")
    log.info("migrated", extra={"revision": revision})
    if "admin" in event:
        return {"revision": revision, "password": first_admin(str(event["admin"]))}
    return {"revision": revision}
