"""HTTP requests as API Gateway's REST proxy events (payload 1.0), and answers back.

Format: docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html and
docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from local.runtime import ACCOUNT
from local.template import Route

STAGE = "local"

type Headers = list[tuple[bytes, bytes]]


class Malformed(ValueError):
    """A function's answer that API Gateway would refuse with 502."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers in lower case, and body."""

    status: int
    headers: Headers
    body: bytes


def to_event(
    scope: Mapping[str, Any], body: bytes | bytearray, route: Route, parameters: Mapping[str, str], *, binary: bool
) -> dict[str, Any]:
    """The event for an ASGI http scope. `binary`: the API declares every media type as binary."""
    client: Sequence[Any] = scope.get("client") or ("127.0.0.1", 0)
    headers = _headers(scope, client[0])
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        query.setdefault(name, []).append(value)
    path = scope.get("raw_path") or scope["path"].encode()
    now = time.time()
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    host = headers.get("Host", ["127.0.0.1"])[-1]
    return {
        "resource": route.path,
        "path": path.decode("latin-1").partition("?")[0],
        "httpMethod": scope["method"],
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {name: unquote(value) for name, value in parameters.items()} or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": STAGE,
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "extendedRequestId": secrets.token_urlsafe(11),
            "httpMethod": scope["method"],
            "identity": {"sourceIp": client[0], "userAgent": headers.get("User-Agent", [None])[-1]},
            "path": f"/{STAGE}{scope['path']}",
            "protocol": f"HTTP/{scope.get('http_version', '1.1')}",
            "requestId": str(uuid.uuid4()),
            "requestTime": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": STAGE,
            "resourcePath": route.path,
            "stage": STAGE,
        },
        **_body(body, binary=binary),
    }


def to_answer(result: Any, *, binary: bool) -> Answer:
    """What API Gateway makes of a function's result. Raises Malformed where it would answer 502."""
    if not isinstance(result, dict) or not isinstance(result.get("statusCode"), int):
        raise Malformed("the result has no statusCode")
    body = result.get("body") or ""
    if not isinstance(body, str):
        raise Malformed("the body is no string")
    content = base64.b64decode(body) if result.get("isBase64Encoded") and binary else body.encode()
    values: dict[str, list[str]] = {name.lower(): [str(value)] for name, value in (result.get("headers") or {}).items()}
    for name, several in (result.get("multiValueHeaders") or {}).items():
        values[name.lower()] = [str(value) for value in several]
    values.pop("content-length", None)
    headers = [(name.encode(), value.encode("latin-1")) for name, several in values.items() for value in several]
    return Answer(result["statusCode"], headers, content)


def schedule_event(name: str) -> dict[str, Any]:
    """What EventBridge Scheduler sends when its target has no input of its own."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule/default/{name}"],
        "detail": "{}",
    }


def wake_up_event(bucket: str, key: str) -> dict[str, Any]:
    """What Lambda gets of SQS when the bucket has told the queue of a new object.

    Format: docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    notice = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": now,
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "local",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 0, "sequencer": f"{time.time_ns():016X}"},
        },
    }
    record = {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": secrets.token_urlsafe(24),
        "body": json.dumps({"Records": [notice]}),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{key.split('/')[1]}",
        "awsRegion": "us-east-1",
    }
    return {"Records": [record]}


def _headers(scope: Mapping[str, Any], source: str) -> dict[str, list[str]]:
    """The request's headers and those that API Gateway adds; a forwarded-for of the client's own stays in front."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        title = "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))
        headers.setdefault(title, []).append(value.decode("latin-1"))
    forwarded = headers.get("X-Forwarded-For", [])
    headers["X-Forwarded-For"] = [", ".join([*forwarded, source])]
    headers["X-Forwarded-Proto"] = [scope.get("scheme", "http")]
    headers["X-Forwarded-Port"] = [str((scope.get("server") or ("", 80))[1])]
    headers.setdefault("X-Amzn-Trace-Id", [f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"])
    return headers


def _body(body: bytes | bytearray, *, binary: bool) -> dict[str, Any]:
    if not body:
        return {"body": None, "isBase64Encoded": False}
    if binary:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return {"body": body.decode("utf-8", "replace"), "isBase64Encoded": False}
