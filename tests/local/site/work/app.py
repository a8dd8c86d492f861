"""A job handler: claims the job its wake-up names, and fails when the job's payload says so."""

import json
import os
from typing import Any

from local.connect import connect

KIND = os.environ["KIND"]


def handler(event: dict[str, Any], _context: Any) -> None:
    """What Lambda calls with messages of SQS."""
    for record in event["Records"]:
        for notice in json.loads(record["body"])["Records"]:
            prefix, kind, job_id = notice["s3"]["object"]["key"].split("/")
            assert (prefix, kind) == ("jobs", "work")
            connection = connect(os.environ["DATABASE_URL"])
            try:
                rows = connection.run(
                    "UPDATE jobs SET attempts = attempts + 1 WHERE id = :id RETURNING payload, attempts", id=job_id
                )
                if rows[0][0].get("failures", 0) >= rows[0][1]:
                    raise ValueError("failed on purpose")
                connection.run("UPDATE jobs SET status = 'completed' WHERE id = :id", id=job_id)
            finally:
                connection.close()
