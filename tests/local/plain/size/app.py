"""A function without limits of its own that answers with the size of the body it got."""

import base64
from typing import Any


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    body = event["body"] or ""
    size = len(base64.b64decode(body)) if event["isBase64Encoded"] else len(body)
    return {"statusCode": 200, "body": str(size)}
