"""Wake-ups for jobs that bring one part of a large archive."""

from typing import Any

from safelight.archives.worker import handle_record
from safelight.jobs.records import handle_batch
from safelight.telemetry import logger

logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Bring the parts that the queue asks for; only what failed comes back."""
    return handle_batch(event, context, handle_record)
