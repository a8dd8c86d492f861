"""Migrates the database, makes its roles and the first administrator, and invites people; invoked by operators."""

from pathlib import Path
from typing import Any

from safelight.accounts.operators import first_admin, invite
from safelight.db.migrate import upgrade
from safelight.roles.configured import install_configured
from safelight.telemetry import logger

log = logger()
# Beside this file in the deployed package; at the root of a checkout.
ROOT = next(folder for folder in (Path(__file__).parent, *Path(__file__).parents) if (folder / "alembic.ini").exists())


def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Upgrade, and grant the roles what they may do; the answer names the revision the database has now.

    With `{"admin": "EMAIL"}` that account is made or becomes an administrator's; the answer alone holds its password,
    and with `"key": true` an API key. With `{"invite": "EMAIL"}` the answer alone holds an invitation's code.
    """
    revision = upgrade(ROOT / "alembic.ini")
    install_configured()
    log.info("migrated", extra={"revision": revision})
    answer = {"revision": revision}
    if "admin" in event:
        made = first_admin(str(event["admin"]), with_key=event.get("key") is True)
        answer["password"] = made.password
        if made.api_key is not None:
            answer["api_key"] = made.api_key
    if "invite" in event:
        answer |= invite(str(event["invite"])).model_dump(mode="json", include={"code", "url", "expires_at"})
    return answer
