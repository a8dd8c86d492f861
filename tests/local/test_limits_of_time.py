"""How long a client may take to send a request and to read its answer, seen from outside the real process."""

from __future__ import annotations

import json
import time

import pytest

from local.limits import KIB
from tests.local.gateways import (
    HEAD,
    KINDS,
    MIB,
    QUICK,
    Running,
    eventually,
    read_all,
    refusal,
    responses,
    status,
    trickle,
)


@pytest.mark.parametrize("start", [b"G", HEAD, b"\r\n", HEAD + b"A: b"])
def test_a_head_that_does_not_end_is_cut_off(quick: Running, start: bytes) -> None:
    refusal(quick.say(start), 408, "request_timeout")


def test_a_head_that_follows_another_in_one_read_is_cut_off(quick: Running) -> None:
    answer = quick.say(HEAD + b"\r\n" + HEAD)
    second = answer.rindex(b"HTTP/1.1")
    assert responses(answer[:second]) == [200]
    refusal(answer[second:], 408, "request_timeout")


def test_a_head_that_trickles_is_cut_off(quick: Running) -> None:
    with quick.connect() as line:
        line.sendall(HEAD)
        refusal(trickle(line, b"x", QUICK.head_seconds / 4), 408, "request_timeout")


def test_the_second_head_of_a_connection_has_its_own_time(quick: Running) -> None:
    with quick.connect() as line:
        line.sendall(HEAD + b"\r\n")
        assert status(line) == 200
        time.sleep(QUICK.head_seconds * 2)  # idle: a kept connection
        line.sendall(HEAD)
        refusal(read_all(line), 408, "request_timeout")


def test_a_connection_that_says_nothing_is_closed_without_a_word(quick: Running) -> None:
    assert quick.say(b"") == b""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"Content-Length: 9\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
def test_a_body_that_stops_is_cut_off(quick: Running, kind: str, body: bytes) -> None:
    refusal(quick.say(b"POST /%b HTTP/1.1\r\nHost: x\r\n%b" % (kind.encode(), body)), 408, "request_timeout")
    assert "ERROR" not in quick.log.read_text()


@pytest.mark.parametrize("frame", [b"x", b"1\r\nx\r\n", b";x"])
def test_a_body_that_trickles_is_cut_off(quick: Running, frame: bytes) -> None:
    """One byte now and then would hold a connection for ever."""
    framing = b"Content-Length: 100000\r\n\r\n" if frame == b"x" else b"Transfer-Encoding: chunked\r\n\r\n"
    with quick.connect() as line:
        line.sendall(b"POST /buffered HTTP/1.1\r\nHost: x\r\n" + framing + (b"3" if frame == b";x" else b""))
        refusal(trickle(line, frame, QUICK.body_seconds / 4), 408, "request_timeout")


def test_a_body_that_flows_may_take_longer(quick: Running) -> None:
    """At twice the least rate, for three times as long as a body may stop."""
    piece = b"x" * int(QUICK.body_rate * QUICK.body_seconds / 2)
    with quick.connect() as line:
        line.sendall(
            b"POST /buffered HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (len(piece) * 13)
        )
        for _ in range(13):
            line.sendall(piece)
            time.sleep(QUICK.body_seconds / 4)
        answer = read_all(line)
    assert responses(answer) == [200]
    assert b'"size":%d' % (len(piece) * 13) in answer


def test_a_client_that_takes_nothing_of_an_answer_is_cut_off_and_its_work_ends(quick: Running) -> None:
    ended = len(json.loads(quick.get("/left")[1]))
    with quick.connect() as line:
        line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.recv(1)
        eventually(lambda: len(json.loads(quick.get("/left")[1])) > ended, "the stream goes on")
        taken = len(read_all(line)) + 1
    assert json.loads(quick.get("/left")[1])[-1] == "left"
    assert taken < 64 * MIB


# 64 KiB at a time is so little that the kernel asks the gateway for nothing in all this time.
@pytest.mark.parametrize("piece", [64 * KIB, 512 * KIB])
def test_a_client_that_takes_little_at_a_time_gets_all(quick: Running, piece: int) -> None:
    taken = 0
    with quick.connect() as line:
        line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        end = time.monotonic() + 2.5 * QUICK.write_seconds
        while time.monotonic() < end:
            taken += len(line.recv(piece))
            time.sleep(QUICK.write_seconds / 5)
        taken += len(read_all(line))
    assert taken > 64 * MIB
