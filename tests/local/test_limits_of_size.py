"""How large a request may be, in its head and around its body, seen from outside the real process."""

from __future__ import annotations

import contextlib
import select
from pathlib import Path

import pytest

from local.limits import KIB, Limits
from local.process import wait_until
from tests.local.gateways import (
    CLOSE,
    HEAD,
    KINDS,
    MIB,
    PATIENCE,
    SOCKET_BUFFERS,
    Running,
    read_all,
    refusal,
    responses,
    running,
)

PLAIN = Path(__file__).parent / "plain" / "template.yaml"


def test_a_header_of_100_mib_is_refused_at_the_limit(gateway: Running) -> None:
    before = gateway.memory()
    piece, sent, size = b"x" * 65536, 0, 100 * MIB
    with gateway.connect() as line:
        line.sendall(HEAD + b"Endless: ")
        with contextlib.suppress(OSError):
            while sent < size:
                sent += line.send(piece)
        answer = read_all(line)
    refusal(answer, 431, "headers_too_large")
    assert sent <= Limits().head_bytes + Limits().linger_bytes + SOCKET_BUFFERS
    assert gateway.memory() - before < 8 * MIB
    assert gateway.get("/buffered")[0] == 200


def test_a_slow_header_is_refused_at_the_very_limit(gateway: Running) -> None:
    """The client that sends little by little reads the answer before it sends more."""
    with gateway.connect() as line:
        line.sendall(HEAD + b"Endless: ")
        sent = len(HEAD) + len(b"Endless: ")
        line.settimeout(0.01)
        while True:
            line.sendall(b"x" * 512)
            sent += 512
            try:
                answer = line.recv(65536)
                break
            except TimeoutError:
                assert sent < 10 * Limits().head_bytes
        line.settimeout(60)
        answer += read_all(line)
    refusal(answer, 431, "headers_too_large")
    assert Limits().head_bytes < sent <= Limits().head_bytes + 64 * KIB


@pytest.mark.parametrize("pad", [b"A: %b\r\n", b"A: b\r\nLong: %b\r\n"])
def test_a_head_is_measured_to_the_byte(gateway: Running, pad: bytes) -> None:
    limit = Limits().head_bytes
    around = len(HEAD + pad.replace(b"%b", b"") + CLOSE + b"\r\n")
    fits = HEAD + pad % (b"x" * (limit - around)) + CLOSE + b"\r\n"
    assert len(fits) == limit
    assert responses(gateway.say(fits)) == [200]
    refusal(gateway.say(HEAD + pad % (b"x" * (limit - around + 1)) + CLOSE + b"\r\n"), 431, "headers_too_large")


def test_too_many_headers_are_refused(gateway: Running) -> None:
    most = Limits().header_count - 2  # two are in HEAD and CLOSE
    assert responses(gateway.say(HEAD + b"A: b\r\n" * most + CLOSE + b"\r\n")) == [200]
    refusal(gateway.say(HEAD + b"A: b\r\n" * (most + 1) + CLOSE + b"\r\n"), 431, "headers_too_large")


@pytest.mark.parametrize("more", [0, 1, 100_000])
def test_a_long_target_is_refused(gateway: Running, more: int) -> None:
    start = b"GET /buffered?q="
    target = start + b"a" * (Limits().target_bytes - len(start) + len(b"GET ") + more)
    answer = gateway.say(target + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE + b"\r\n")
    if more:
        refusal(answer, 414, "target_too_long")
    else:
        assert responses(answer) == [200]


@pytest.mark.parametrize(
    "unending",
    [
        b"\r\n" * 100_000,
        b"POST /buffered HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: "
        + b"t" * 200_000,
        b"POST /buffered HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
        + b"T: t\r\n" * 40_000,
        b"POST /buffered HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e=" + b"e" * 200_000,
    ],
    ids=["line ends", "a trailer", "trailers", "a chunk's extension"],
)
def test_nothing_around_a_request_is_without_an_end(gateway: Running, unending: bytes) -> None:
    refusal(gateway.say(unending), 431, "headers_too_large")


def test_trailers_become_no_headers_of_any_request(gateway: Running) -> None:
    chunked = b"POST /%b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\nHost: evil.example\r\nForged: yes\r\n\r\n"
    for kind in KINDS:
        said = gateway.say(chunked % kind.encode() + body + HEAD + CLOSE + b"\r\n")
        assert responses(said) == [200, 200]
        assert b"forged" not in said
        assert b"authorization" not in said


LARGE = b"POST /buffered HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


def test_many_large_bodies_hold_a_bounded_memory_and_lock_nobody_out(tmp_path: Path) -> None:
    limits = Limits(requests_per_second=0, bodies_bytes=10 * MIB)
    size = 4 * MIB
    with running(tmp_path / "log", limits=limits, template=PLAIN) as gateway, contextlib.ExitStack() as opened:
        assert responses(gateway.say(LARGE % size + b"x" * size)) == [200]
        before = gateway.memory()
        lines = [opened.enter_context(gateway.connect()) for _ in range(20)]
        for line in lines:
            with contextlib.suppress(OSError):
                line.sendall(LARGE % size + b"x" * (size - 1))
        # There is room for two. Bodies that still arrive compete with a new one; those that stand still give way to it.
        wait_until(lambda: len(select.select(lines, [], [], 0)[0]) >= 18, seconds=PATIENCE, what="the refusals")
        wait_until(
            lambda: responses(gateway.say(LARGE % size + b"x" * size)) == [200], seconds=PATIENCE, what="the others"
        )
        for _ in range(3):
            said = gateway.say(LARGE % size + b"x" * size)
            assert responses(said) == [200]
            assert said.endswith(b"%d" % size)
        assert gateway.memory() - before < 40 * MIB
        refused = select.select(lines, [], [], 0)[0]
        assert int(refusal(read_all(refused[0]), 503, "busy")["retry-after"]) > 0
        assert "ERROR" not in gateway.log.read_text()


def test_an_answered_request_holds_nothing(tmp_path: Path) -> None:
    limits = Limits(requests_per_second=0, bodies_bytes=10 * MIB)
    with running(tmp_path / "log", limits=limits, template=PLAIN) as gateway:
        for _ in range(4):
            assert responses(gateway.say(LARGE % (6 * MIB) + b"x" * (6 * MIB))) == [200]


def test_too_many_requests_in_one_read_are_not_queued(gateway: Running) -> None:
    most = Limits().pipelined
    said = gateway.say((HEAD + b"\r\n") * 2000)
    assert responses(said) == [200] * (most + 1)  # one being answered, the others waiting
