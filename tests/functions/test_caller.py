"""Whose address counts: the one that the platform saw, what a trusted proxy says of it, and no header of a client's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from functions.downloads.app import app
from safelight.web import caller
from safelight.web.archive import closing_engine
from tests import product
from tests.api import Photographer, client, run_jobs
from tests.functions.support import sql

pytestmark = pytest.mark.usefixtures("module_settings")

ORIGIN_SECRET = "an-origin-secret-of-32-characters"

# As the Lambda Web Adapter hands it on: the request context of a REST API's event, cut to what matters here.
CONTEXT = json.dumps(
    {"resourcePath": "/s/{share_id}/download/all", "identity": {"sourceIp": "203.0.113.24", "userAgent": "curl"}}
)


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the streaming function on Lambda."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "safelight-downloads")
    monkeypatch.setenv("AWS_LWA_PORT", "8080")
    caller.behind_adapter.cache_clear()
    yield
    caller.behind_adapter.cache_clear()


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "client": ("127.0.0.1", 4711)})


@pytest.mark.usefixtures("adapter")
def test_behind_the_adapter_the_request_context_tells() -> None:
    assert caller.address(request(x_amzn_request_context=CONTEXT, x_forwarded_for="198.51.100.1")) == "203.0.113.24"


@pytest.mark.parametrize("variables", [[], ["AWS_LAMBDA_FUNCTION_NAME"], ["AWS_LWA_PORT"]])
def test_anywhere_else_it_is_a_clients_word_and_counts_nothing(
    variables: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variables:
        monkeypatch.setenv(name, "8080")
    caller.behind_adapter.cache_clear()
    assert caller.address(request(x_amzn_request_context=CONTEXT, x_forwarded_for="198.51.100.1")) == "127.0.0.1"
    caller.behind_adapter.cache_clear()


BROKEN: list[Any] = ["", "null", "[]", "{}", '{"identity": null}', '{"identity": {"sourceIp": 7}}', "{", "[" * 100_000]


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("context", BROKEN, ids=range(len(BROKEN)))
def test_a_context_that_cannot_be_read_is_no_address(context: str) -> None:
    assert caller.address(request(x_amzn_request_context=context)) == "127.0.0.1"


@pytest.mark.usefixtures("adapter")
def test_two_of_them_prove_nothing() -> None:
    twice = Request({"type": "http", "headers": [(b"x-amzn-request-context", CONTEXT.encode())] * 2, "client": None})
    assert caller.address(twice) is None


@pytest.mark.usefixtures("shared_api", "adapter")
def test_two_visitors_with_one_program_are_two() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    anna.upload(gallery)
    run_jobs()
    share = anna.share(gallery)["share_id"]
    for address in ("203.0.113.24", "203.0.113.25", "203.0.113.24"):
        context = json.dumps({"identity": {"sourceIp": address}})
        headers = {"X-Amzn-Request-Context": context, "Range": "bytes=5-"}
        assert client().get(f"/s/{share}/download/all", headers=headers).status_code == 206
    assert sql("SELECT count(DISTINCT visitor) FROM archive_downloads") == [(2,)]
    assert anna.call("GET", f"/share-links/{share}").json()["zip_downloads"] == 2


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Behind a proxy on this machine, and behind CloudFront."""
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1, 203.0.113.24")
    monkeypatch.setenv("ORIGIN_SECRET", f"{'another-secret-'.ljust(32, '.')}, {ORIGIN_SECRET}")
    product.forget()
    yield
    monkeypatch.undo()
    product.forget()


VIEWED = {"x_origin_secret": ORIGIN_SECRET, "cloudfront_viewer_address": "2001:db8::7:4711"}


@pytest.mark.usefixtures("proxied")
def test_a_trusted_proxy_names_its_client() -> None:
    assert caller.address(request(x_forwarded_for="192.0.2.9, 198.51.100.1")) == "198.51.100.1"
    assert caller.address(request(**VIEWED)) == "2001:db8::7"
    assert caller.address(request(**VIEWED | {"x_origin_secret": "guessed"})) == "127.0.0.1"


@pytest.mark.usefixtures("adapter", "proxied")
def test_behind_the_adapter_the_proxy_is_the_one_that_the_platform_saw() -> None:
    assert caller.address(request(x_amzn_request_context=CONTEXT, x_forwarded_for="198.51.100.1")) == "198.51.100.1"
    assert caller.address(request(x_amzn_request_context=CONTEXT, **VIEWED)) == "2001:db8::7"


@pytest.mark.usefixtures("proxied")
def test_a_function_behind_cloudfront_is_told_its_viewer(shared_api: str) -> None:
    """Through the real handler of a function that API Gateway calls."""
    from functions.accounts.app import handler

    seen: list[str | None] = []

    def remember(request: Request) -> str | None:
        seen.append(caller.address(request))
        return seen[-1]

    assert shared_api
    event = json.loads((product.ROOT / "events" / "api_register.json").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("safelight.web.deps.address", remember)
        for secret in (ORIGIN_SECRET, "guessed"):
            added = {"X-Origin-Secret": [secret], "CloudFront-Viewer-Address": ["192.0.2.99:4711"]}
            headers = event["multiValueHeaders"] | added
            handler({**event, "multiValueHeaders": headers}, None)
    # The event's source is a trusted proxy here, and API Gateway wrote its address into X-Forwarded-For.
    assert seen == ["192.0.2.99", "203.0.113.24"]


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"BASE_URL": "https://photos.example"}, True),
        ({"BASE_URL": "http://192.0.2.7:8000"}, True),
        ({"BASE_URL": "https://photos.example", "TRUSTED_PROXIES": "127.0.0.1"}, False),
        ({"BASE_URL": "https://photos.example", "ORIGIN_SECRET": ORIGIN_SECRET}, False),
        ({"BASE_URL": "http://127.0.0.1:8000"}, False),
        ({"BASE_URL": "http://[::1]:8000"}, False),
        ({"BASE_URL": "http://localhost:3000"}, False),
        ({"BASE_URL": "http://photos.localhost"}, False),
    ],
)
def test_a_public_server_without_a_proxy_warns_at_its_start(
    variables: dict[str, str], warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    product.forget()

    async def start() -> None:
        async with closing_engine(app):
            pass

    asyncio.run(start())
    monkeypatch.undo()
    product.forget()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["Set TRUSTED_PROXIES to the proxy's address" in line for line in told] == [True] * warned


@pytest.mark.usefixtures("adapter")
def test_on_aws_the_platform_tells_so_nothing_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    test_a_public_server_without_a_proxy_warns_at_its_start(
        {"BASE_URL": "https://photos.example"}, False, monkeypatch, caplog
    )
