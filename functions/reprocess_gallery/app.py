"""Wake-ups for jobs that make a gallery's renditions or figures again."""

from typing import Any

from safelight.jobs.records import handle_batch
from safelight.reprocessing.worker import handle_record
from safelight.telemetry import logger

logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Go on with the galleries that the queue names; only what failed comes back."""
    return handle_batch(event, context, handle_record)
