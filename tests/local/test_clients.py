"""Which client a function is told of, and what a browser is told of HTTPS, seen from outside the real process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.local.gateways import CLOSE, KINDS, Running, running

SECRET = "an-origin-secret-of-32-characters"
PROXIED = {
    "BASE_URL": "https://photos.example",
    "TRUSTED_PROXIES": "127.0.0.1, 10.0.8.0/24",
    "ORIGIN_SECRET": SECRET,
}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway behind a proxy on this machine that speaks TLS."""
    with running(tmp_path_factory.mktemp("proxied") / "log", environment=PROXIED) as made:
        yield made


def say(gateway: Running, path: str, *headers: str, method: str = "GET") -> tuple[bytes, bytes]:
    lines = [f"{method} {path} HTTP/1.1", "Host: photos.example", *headers]
    answer = gateway.say("\r\n".join(lines).encode() + b"\r\n" + CLOSE + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([], "127.0.0.1"),
        (["X-Forwarded-For: 203.0.113.7"], "203.0.113.7"),
        (["X-Forwarded-For: 198.51.100.66, 203.0.113.7, 10.0.8.7"], "203.0.113.7"),
        (["X-Forwarded-For: 198.51.100.66", "X-Forwarded-For: 203.0.113.7"], "203.0.113.7"),
        (["X-Forwarded-For: 198.51.100.66, unknown"], "127.0.0.1"),
        (["X-Forwarded-For: [2001:db8::7]:4711", "Forwarded: for=198.51.100.66"], "2001:db8::7"),
        (['Forwarded: for=198.51.100.66, for="[2001:db8::7]"'], "2001:db8::7"),
        (["X-Forwarded-For: 10.0.8.9, 10.0.8.8"], "10.0.8.9"),
        ([f"X-Origin-Secret: {SECRET}", "CloudFront-Viewer-Address: 2001:db8::7:4711"], "2001:db8::7"),
        (["X-Origin-Secret: guessed", "CloudFront-Viewer-Address: 198.51.100.66:1"], "127.0.0.1"),
    ],
)
def test_both_kinds_of_function_are_told_the_same_client(
    proxied: Running, kind: str, headers: list[str], client: str
) -> None:
    _, body = say(proxied, f"/{kind}", *headers)
    assert json.loads(body)["client"] == client


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_trusted_proxy_the_connection_tells(gateway: Running, kind: str) -> None:
    headers = ["X-Forwarded-For: 203.0.113.7", f"X-Origin-Secret: {SECRET}", "CloudFront-Viewer-Address: 203.0.113.7:1"]
    _, body = say(gateway, f"/{kind}", *headers)
    assert json.loads(body)["client"] == "127.0.0.1"


ANSWERS = {
    "/buffered": 200,
    "/streamed": 200,
    "/large": 200,
    "/nothing-is-here": 404,
    "/" + "x" * 9000: 414,
}


def test_over_https_every_answer_and_refusal_says_it_once(proxied: Running) -> None:
    line = b"\r\nstrict-transport-security: max-age=31536000"
    for path, status in ANSWERS.items():
        head, _ = say(proxied, path)
        assert head.startswith(b"HTTP/1.1 %d " % status), head
        assert head.lower().count(line) == 1, head
    for headers in (["Host: b"], ["nonsense"], ["Content-Length: 99999999"], ["X: " + "y" * 40_000]):
        head, _ = say(proxied, "/buffered", *headers)
        assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 431 ")), head
        assert head.lower().count(line) == 1, head


def test_over_http_nothing_says_it(gateway: Running) -> None:
    for path in ANSWERS:
        head, _ = say(gateway, path)
        assert b"strict-transport" not in head.lower()
