"""Answers with what it got, or misbehaves as the name in the path asks."""

import asyncio
import json
import os
import time
from typing import Any

KIND = os.environ["KIND"]


def handler(event: dict[str, Any], context: Any) -> Any:
    """What Lambda calls."""
    asyncio.get_event_loop()  # Mangum does this; it raises where a thread has none
    name = (event["pathParameters"] or {}).get("name")
    if name == "slow":
        time.sleep(1)
    if name == "broken":
        raise ValueError("broken on purpose")
    if name == "malformed":
        return {"status": 200}
    if name == "large":
        return {"statusCode": 200, "body": "x" * (6 * 1024 * 1024 + 1)}
    if name == "binary":
        return {"statusCode": 200, "body": "AP8=", "isBase64Encoded": True, "headers": {"Content-Type": "image/x"}}
    if name == "cookies":
        return {"statusCode": 204, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}}
    seen = {"event": event, "kind": KIND, "left": context.get_remaining_time_in_millis(), "arn": context.function_name}
    return {"statusCode": 201, "headers": {"X-Name": "value"}, "body": json.dumps(seen)}
