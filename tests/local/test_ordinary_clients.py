"""What the gateway's limits leave alone: pipelining, early answers, uploads, downloads, browsers."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from pathlib import Path

import pytest

from local.limits import Limits
from tests.local.gateways import (
    CLOSE,
    HEAD,
    KINDS,
    MIB,
    SOCKET_BUFFERS,
    Running,
    read_all,
    refusal,
    responses,
    status,
)


def test_requests_in_one_read_are_answered_in_order(gateway: Running) -> None:
    requests = b"".join(f"GET /{kind}?{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for n in range(5) for kind in KINDS)
    said = gateway.say(requests + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert responses(said) == [200] * 10 + [404]


def test_what_follows_a_request_does_not_spoil_its_answer(gateway: Running) -> None:
    """Nonsense after a request, while it is answered: the answer stays whole, then the connection ends."""
    for nonsense in (b"nonsense\r\n\r\n", b"A" * 200_000, HEAD + b"A: " + b"x" * 200_000):
        said = gateway.say(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" + nonsense)
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"x" * (64 * MIB)


@pytest.mark.parametrize("target", [b"CONNECT photos.example:443", b"GET http://photos.example"])
def test_a_target_that_cannot_be_read_is_refused_after_the_requests_before_it(gateway: Running, target: bytes) -> None:
    said = gateway.say((HEAD + b"\r\n") * 5 + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert responses(said) == [200] * 5
    refusal(gateway.say(target + b" HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "unreadable")
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.parametrize("keep", [b"", CLOSE])
def test_an_early_answer_to_a_large_body_arrives(gateway: Running, keep: bytes) -> None:
    """404 before the body is read: a reset would destroy it."""
    with gateway.connect() as line:
        line.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\n%bContent-Length: 900000\r\n\r\n" % keep)
        for _ in range(9):
            line.sendall(b"x" * 100_000)
            time.sleep(0.02)
        said = read_all(line)
    assert responses(said) == [404]
    assert b"\r\nconnection: close\r\n" in said.lower()


def test_a_body_that_nobody_reads_has_an_end(gateway: Running) -> None:
    sent = 0
    with gateway.connect() as line:
        line.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        with contextlib.suppress(OSError):
            while sent < 100 * MIB:
                sent += line.send(b"x" * 65536)
        assert read_all(line).startswith(b"HTTP/1.1 404 ")
    assert sent < Limits().linger_bytes + SOCKET_BUFFERS


def test_100_continue_and_a_refusal_without_it(gateway: Running) -> None:
    head = b"POST /%b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    for kind in KINDS:
        with gateway.connect() as line:
            line.sendall(head % kind.encode())
            assert line.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            line.sendall(b"abc" + HEAD + CLOSE + b"\r\n")
            assert responses(read_all(line)) == [200, 200]
    # Whether these three bytes follow is open: the next request must not be taken for them, so the connection ends.
    with gateway.connect() as line:
        line.sendall(head % b"nothing")
        said = read_all(line)
    assert responses(said) == [404]
    assert b"\r\nconnection: close\r\n" in said.lower()


def test_an_upgrade_is_answered_as_a_plain_request_that_closes(gateway: Running) -> None:
    """What follows in the same read would belong to the other protocol: it gets no answer."""
    upgrade = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aaaaaaaaaaaaaaaaaaaaaa==\r\n"
    said = gateway.say(HEAD + b"Connection: Upgrade\r\n" + upgrade + b"\r\n" + HEAD + b"\r\n")
    assert responses(said) == [200]
    assert b"\r\nconnection: close\r\n" in said.lower()


def test_programs_download_and_upload(gateway: Running, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{gateway.port}"
    upload = tmp_path / "upload"
    upload.write_bytes(b"x" * (6 * MIB))
    for options in (
        ["--data-binary", f"@{upload}"],
        ["-T", str(upload)],
        ["-H", "Transfer-Encoding: chunked", "-T", str(upload)],
    ):
        for kind in KINDS:
            done = subprocess.run(
                ["curl", "-sS", "--fail", *options, f"{address}/{kind}"], capture_output=True, check=True
            )
            assert json.loads(done.stdout)["size"] == 6 * MIB
    files = [f"{address}/large?{n}\n out={n}\n" for n in range(16)]
    (tmp_path / "list").write_text("".join(files))
    command = ["aria2c", "-q", "--no-conf", "-x16", "-s16", "-j4", "-d", str(tmp_path), "-i", str(tmp_path / "list")]
    subprocess.run(command, check=True)
    for n in range(16):
        assert (tmp_path / str(n)).stat().st_size == 64 * MIB
        (tmp_path / str(n)).unlink()


def test_six_connections_of_a_browser_are_kept(gateway: Running) -> None:
    with contextlib.ExitStack() as opened:
        lines: list[socket.socket] = [opened.enter_context(gateway.connect()) for _ in range(6)]
        for _ in range(20):
            for line in lines:
                line.sendall(HEAD + b"Large: " + b"c" * 8000 + b"\r\n\r\n")
            for line in lines:
                assert status(line) == 200
