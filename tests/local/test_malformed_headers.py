"""Headers that contradict each other are refused alike for both kinds of function."""

from __future__ import annotations

import json

import pytest

from tests.local.gateways import (
    KINDS,
    Running,
    responses,
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Host: a\r\nHost: b\r\n",
        b"Host: a\r\nHost: a\r\n",
        b"Host:\r\n",
        b"Host: a b\r\n",
        b"Host: a, b\r\n",
        b"Host: a:b\r\n",
        b"Host: a:80:80\r\n",
        b"Host: a:80@b\r\n",
        b"Host: [::1\r\n",
        b"Host: [1:2]\r\n",
        b"Host: ::1\r\n",
        b"Host: \xff\xfe\r\n",
        b"Host: a/b\r\n",
        b"Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
        b"Host: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n",
        b"Host: a\r\nContent-Length: +1\r\n",
        b"Host: a\r\nContent-Length: 99999999999999999999\r\n",
        b"Host: a\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n",
        b"Host: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        b"Host: a\r\nX-API-Key: a\r\nX-Api-Key: b\r\n",
    ],
)
def test_malformed_headers_are_400_for_both_kinds_of_function(gateway: Running, kind: str, headers: bytes) -> None:
    for method in (b"GET", b"HEAD"):
        answer = gateway.say(b"%b /%b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (method, kind.encode(), headers))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 "), answer
        assert b"application/problem+json" in head
        if method == b"GET":
            assert json.loads(body)["code"] == "unreadable"
        else:
            assert body == b""
    assert "ERROR" not in gateway.log.read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "host", ["a", "A.example", "a:8000", "127.0.0.1:80", "[::1]", "[::1]:8000", "a_b", "xn--a", "a."]
)
def test_every_kind_of_host_is_served(gateway: Running, kind: str, host: str) -> None:
    said = gateway.say(f"GET /{kind} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert responses(said) == [200]


@pytest.mark.parametrize("kind", KINDS)
def test_cookies_in_two_headers_are_the_same_for_both_kinds_of_function(gateway: Running, kind: str) -> None:
    request = f"GET /{kind} HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=2\r\nConnection: close\r\n\r\n"
    assert b'"cookies":{"a":"1","b":"2"}' in gateway.say(request.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_http_1_0_needs_no_host(gateway: Running, kind: str) -> None:
    assert responses(gateway.say(f"GET /{kind} HTTP/1.0\r\n\r\n".encode())) == [200]
