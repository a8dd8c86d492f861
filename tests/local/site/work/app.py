"""A job handler: claims the next due job, and fails when the job's payload says so."""

import json
import os
from typing import Any

from local.connect import connect

KIND = os.environ["KIND"]

CLAIM = """
UPDATE jobs SET status = 'running', attempts = attempts + 1, lease_until = now() + interval '3 minutes' WHERE id = (
    SELECT id FROM jobs WHERE kind = 'work'
    AND (status = 'queued' AND run_after <= now() OR status = 'running' AND lease_until < now())
    ORDER BY run_after LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, payload, attempts
"""


def handler(event: dict[str, Any], _context: Any) -> None:
    """What Lambda calls with messages of SQS."""
    for record in event["Records"]:
        for notice in json.loads(record["body"])["Records"]:
            prefix, kind, _ = notice["s3"]["object"]["key"].split("/")
            assert (prefix, kind) == ("jobs", "work")
            connection = connect(os.environ["DATABASE_URL"])
            try:
                for job_id, payload, attempts in connection.run(CLAIM):
                    failed = payload.get("failures", 0) >= attempts
                    status = "queued" if failed else "completed"
                    connection.run("UPDATE jobs SET status = :status WHERE id = :id", status=status, id=job_id)
                    if failed:
                        raise ValueError("failed on purpose")
            finally:
                connection.close()
