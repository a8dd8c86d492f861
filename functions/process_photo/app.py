"""Uploads that arrived, and wake-ups for jobs that look at them."""

from typing import Any

from safelight.jobs.records import handle_batch
from safelight.photos.worker import handle_record
from safelight.telemetry import logger

logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process what the queue brings; only what failed comes back."""
    return handle_batch(event, context, handle_record)
