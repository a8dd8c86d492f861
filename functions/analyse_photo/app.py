"""Files that were sent for analysis, and wake-ups for jobs that measure pictures."""

from typing import Any

from safelight.analyses.worker import handle_record
from safelight.jobs.records import handle_batch
from safelight.telemetry import logger

logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Measure what the queue brings; only what failed comes back."""
    return handle_batch(event, context, handle_record)
