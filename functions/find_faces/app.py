"""Wake-ups for jobs that look for faces."""

from typing import Any

from safelight.analyses.faces import handle_record
from safelight.jobs.records import handle_batch
from safelight.telemetry import logger

logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Search what the queue brings; only what failed comes back."""
    return handle_batch(event, context, handle_record)
