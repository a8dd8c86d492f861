"""SQS records that carry S3 notifications: which keys they speak of, and a batch of which only failures come back."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

log = logging.getLogger(__name__)


def handle_batch(event: dict[str, Any], context: Any, handle: Callable[[str], None]) -> dict[str, Any]:
    """Call `handle` with every key the records speak of; the answer lists the records to be sent again."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle_one(record: SQSRecord) -> None:
        try:
            for key in keys(record.body):
                handle(key)
        except Exception:
            # The batch answer says only which record failed.
            log.exception("record failed", extra={"message_id": record.message_id})
            raise

    return dict(process_partial_response(event, handle_one, processor, context))


def keys(body: str) -> Iterator[str]:
    """The object keys in one message. What is no notification of ours is dropped: it would never become one."""
    try:
        message = json.loads(body)
        records = message.get("Records", []) if isinstance(message, dict) else []
        found = [unquote_plus(one["s3"]["object"]["key"]) for one in records]
    except (ValueError, KeyError, TypeError):
        log.warning("message dropped: it is no notification of the bucket")
        return
    # S3 says hello with `s3:TestEvent`, which has no records.
    yield from found
