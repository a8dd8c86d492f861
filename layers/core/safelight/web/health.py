"""Is everything there that the service needs?"""

import logging
from typing import Literal

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy.exc import DatabaseError

from safelight import __version__
from safelight.db.engine import transaction
from safelight.errors import Unavailable
from safelight.sandboxes import reports
from safelight.sandboxes.reports import Report
from safelight.telemetry import kind

log = logging.getLogger(__name__)


class Health(BaseModel):
    """`database` is what every request needs; no API function needs the store to answer.

    `sandbox` is what confines the processes that open photos, as their workers report: `ok`, `platform` (Lambda or
    macOS confine them), `missing` (photos wait; `detail` says why), or `unknown` when no worker reported of late.
    """

    status: Literal["ok", "unavailable"]
    version: str
    database: Literal["ok", "unavailable"]
    sandbox: Literal["ok", "platform", "missing", "unknown"]
    detail: str | None = None


def check(response: Response) -> Health:
    """Ask the database; 503 when it does not answer, or a worker reports that its sandbox is missing."""
    response.headers["Cache-Control"] = "no-store"
    try:
        with transaction() as session:
            found = [report for report in reports.everything(session) if report.fresh]
    except DatabaseError as error:
        if error.orig is None or "42P01" not in kind(error.orig):
            raise
        # undefined_table: the next migration makes it. Nothing is known yet, and nothing is wrong.
        log.warning("no table of sandbox reports")
        found = []
    except Unavailable:
        log.warning("database unavailable")
        response.status_code = 503
        return Health(status="unavailable", version=__version__, database="unavailable", sandbox="unknown")
    missing = [report for report in found if report.state == "missing"]
    if missing:
        response.status_code = 503
        detail = f"Photos wait, because the processes that open them cannot be confined: {missing[0].reason}."
        return Health(status="unavailable", version=__version__, database="ok", sandbox="missing", detail=detail)
    return Health(status="ok", version=__version__, database="ok", sandbox=_weakest(found))


def _weakest(found: list[Report]) -> Literal["ok", "platform", "unknown"]:
    if not found:
        return "unknown"
    return "platform" if any(report.state == "platform" for report in found) else "ok"
