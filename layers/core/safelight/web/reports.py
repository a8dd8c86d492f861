"""Where the report of a deletion is."""

import uuid

from fastapi import Response

from safelight.config import settings


def locate_report(response: Response, erasure_id: uuid.UUID) -> None:
    """Tell whoever deleted, and nobody else, by `Location`."""
    response.headers["Location"] = f"{settings().base_path}/erasures/{erasure_id}"
