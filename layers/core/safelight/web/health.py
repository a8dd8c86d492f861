"""Is everything there that requests need?"""

import logging
from typing import Literal

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import text

from safelight import __version__
from safelight.db.engine import transaction
from safelight.errors import Unavailable

log = logging.getLogger(__name__)


class Health(BaseModel):
    """`database` is what every request needs; the store is asked by none of the API's functions to answer."""

    status: Literal["ok", "unavailable"]
    version: str
    database: Literal["ok", "unavailable"]


def check(response: Response) -> Health:
    """Ask the database; 503 when it does not answer."""
    response.headers["Cache-Control"] = "no-store"
    try:
        with transaction() as session:
            session.execute(text("SELECT 1"))
    except Unavailable:
        log.warning("database unavailable")
        response.status_code = 503
        return Health(status="unavailable", version=__version__, database="unavailable")
    return Health(status="ok", version=__version__, database="ok")
