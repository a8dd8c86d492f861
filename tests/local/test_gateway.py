"""The gateway calls handlers as API Gateway does, and streams what streams."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.gateway import MAX_REQUEST, Gateway, _own
from local.runtime import load
from local.template import Template

ROOT = Path(__file__).resolve().parents[2]
SITE = Template(Path(__file__).parent / "site" / "template.yaml")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    made = Gateway(SITE, concurrency=2)
    yield made
    made.close()


def call(gateway: Gateway, method: str, path: str, **options: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(gateway, client=("192.0.2.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://site.example") as client:
            return await client.request(method, path, **options)

    return asyncio.run(run())


def test_the_event_is_that_of_a_rest_api(gateway: Gateway) -> None:
    answer = call(
        gateway,
        "PUT",
        "/echo/a%20b?x=1&x=2&empty=",
        content=b"\x00\xff",
        headers=[("X-Twice", "1"), ("X-Twice", "2"), ("X-Forwarded-For", "198.51.100.1")],
    )
    assert answer.status_code == 201
    assert answer.headers["x-name"] == "value"
    event = answer.json()["event"]
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/echo/{name}", "/echo/a%20b", "PUT")
    assert event["pathParameters"] == {"name": "a b"}
    assert event["queryStringParameters"] == {"x": "2", "empty": ""}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "empty": [""]}
    assert event["headers"]["X-Twice"] == "2"
    assert event["multiValueHeaders"]["X-Twice"] == ["1", "2"]
    assert event["headers"]["X-Forwarded-For"] == "198.51.100.1, 192.0.2.7"
    assert event["headers"]["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert (event["body"], event["isBase64Encoded"]) == ("AP8=", True)
    context = event["requestContext"]
    assert context["identity"]["sourceIp"] == "192.0.2.7"
    assert context["domainName"] == "site.example"
    assert context["requestId"] == answer.headers["x-amzn-requestid"]


def test_the_function_has_its_own_variables_and_its_time(gateway: Gateway) -> None:
    seen = call(gateway, "GET", "/echo/fixed").json()
    assert seen["kind"] == "echo"
    assert 14_000 < seen["left"] <= 15_000
    assert seen["event"]["body"] is None
    assert seen["event"]["queryStringParameters"] is None


def test_the_more_specific_route_wins(gateway: Gateway) -> None:
    assert call(gateway, "GET", "/echo/fixed").json()["event"]["resource"] == "/echo/fixed"
    assert call(gateway, "POST", "/echo/fixed").json()["event"]["resource"] == "/echo/{name}"
    assert call(gateway, "GET", "/rest/a/b").json()["event"]["pathParameters"] == {"path": "a/b"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/echo"), ("POST", "/rest/a"), ("GET", "/echo/a/")])
def test_what_has_no_route_is_answered_by_the_template(gateway: Gateway, method: str, path: str) -> None:
    answer = call(gateway, method, path)
    assert (answer.status_code, answer.json()) == (404, {"code": "not_found"})


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("MISSING_AUTHENTICATION_TOKEN", 404, "not_found"),
        ("REQUEST_TOO_LARGE", 413, "too_large"),
        ("INTEGRATION_TIMEOUT", 504, "unavailable"),
        ("INTEGRATION_FAILURE", 502, "unavailable"),
    ],
)
def test_every_answer_of_the_products_gateway_is_a_problem(kind: str, status: int, code: str) -> None:
    answer = _own(Template(ROOT / "template.yaml").gateway_response(kind, status, "by default"))
    body = json.loads(answer.body)
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    assert dict(answer.headers)[b"content-type"] == b"application/problem+json"


@pytest.mark.parametrize("name", ["broken", "malformed", "large", "slow"])
def test_a_function_that_misbehaves_is_a_502_of_the_gateway(gateway: Gateway, name: str) -> None:
    answer = call(gateway, "GET", f"/echo/{name}")
    assert answer.status_code == 502
    assert answer.headers["retry-after"] == "2"
    assert "broken on purpose" not in answer.text


def test_bytes_come_back_as_bytes(gateway: Gateway) -> None:
    answer = call(gateway, "GET", "/echo/binary")
    assert (answer.content, answer.headers["content-type"]) == (b"\x00\xff", "image/x")


def test_several_cookies_stay_several(gateway: Gateway) -> None:
    answer = call(gateway, "GET", "/echo/cookies")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (answer.status_code, answer.content) == (204, b"")


def test_head_has_no_body(gateway: Gateway) -> None:
    answer = call(gateway, "HEAD", "/echo/x")
    assert answer.status_code == 201
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


def test_a_request_over_ten_megabytes_is_refused(gateway: Gateway) -> None:
    assert call(gateway, "POST", "/echo/x", content=b"0" * (MAX_REQUEST + 1)).status_code == 413
    whole = call(gateway, "POST", "/echo/x", content=b"0" * 1000)
    assert whole.status_code == 201

    async def endless() -> Any:
        for _ in range(12):
            yield b"0" * 1024 * 1024

    assert call(gateway, "POST", "/echo/x", content=endless()).status_code == 413


def test_a_body_over_a_routes_limit_is_refused_without_an_event() -> None:
    own = Gateway(SITE, concurrency=1, limit_of=lambda _method, path: 1024 if path == "/echo/{name}" else 0)
    answered: list[int] = []
    try:
        for size in (1024, 1025):
            answered += [call(own, "POST", "/echo/x", content=b"0" * size).status_code]

        async def pieces() -> Any:
            for _ in range(5):
                yield b"0" * 256

        answer = call(own, "POST", "/echo/x", content=pieces())
    finally:
        own.close()
    assert answered == [201, 413]
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert "1 KiB" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_that_is_broken_off_reaches_no_function(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.gateway.to_event", lambda *_, **__: pytest.fail("an event was built"))
    given = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(given)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/echo/x", "headers": [(b"content-length", b"8")]}
    asyncio.run(gateway(scope, receive, send))
    assert sent[0]["status"] == 400


def test_a_streaming_function_streams_and_sees_the_client_leave(gateway: Gateway) -> None:
    module = load(SITE.functions()["Stream"])
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message.get("body") == b"2":
                left.set()

        scope = {"type": "http", "method": "GET", "path": "/stream", "query_string": b"", "headers": []}
        await asyncio.wait_for(gateway(scope, receive, send), 5)

    asyncio.run(run())
    assert [message.get("body") for message in sent[1:4]] == [b"0", b"1", b"2"]
    assert module.seen[-1] == "left"


def test_streaming_functions_are_started_and_ended_with_the_server() -> None:
    own = Gateway(SITE)
    module = load(SITE.functions()["Stream"])
    module.seen.clear()
    sent: list[str] = []

    async def run() -> None:
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict[str, Any]:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await own({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert module.seen == ["started", "ended"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
