"""What the gateway refuses, seen from outside: the real process, real sockets, clients that no library would be."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.limits import KIB, Limits
from tests.local.gateways import Running, eventually, read_all, refusal, responses, running, status

MIB = 1024 * KIB
KINDS = ("buffered", "streamed")
SOCKET_BUFFERS = 16 * MIB
"""More than the kernel keeps of one connection for both sides (net.ipv4.tcp_rmem, tcp_wmem)."""
QUICK = Limits(head_seconds=1, body_seconds=1, write_seconds=1.5, linger_seconds=1, requests_per_second=0)
"""Short times for the tests of times."""
HEAD = b"GET /buffered HTTP/1.1\r\nHost: photos.example\r\n"
CLOSE = b"Connection: close\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With the limits of every installation, but for the number of requests."""
    with running(tmp_path_factory.mktemp("gateway") / "log", limits=Limits(requests_per_second=0)) as made:
        yield made


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("quick") / "log", limits=QUICK) as made:
        yield made


def trickle(line: socket.socket, piece: bytes, seconds: float) -> bytes:
    """Send the piece again and again, so many seconds apart, until the gateway answers; all that it says."""
    line.settimeout(seconds)
    for _ in range(200):
        with contextlib.suppress(OSError):
            line.sendall(piece)
        with contextlib.suppress(TimeoutError):
            first = line.recv(65536)
            line.settimeout(60)
            return first + read_all(line)
    raise AssertionError("the gateway waits for ever")


# ---------------------------------------------------------------- size


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


def test_too_many_requests_in_one_read_are_not_queued(gateway: Running) -> None:
    most = Limits().pipelined
    said = gateway.say((HEAD + b"\r\n") * 2000)
    assert responses(said) == [200] * (most + 1)  # one being answered, the others waiting


# ---------------------------------------------------------------- time


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


def test_a_client_that_takes_little_at_a_time_gets_all(quick: Running) -> None:
    taken = 0
    with quick.connect() as line:
        line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        end = time.monotonic() + 2.5 * QUICK.write_seconds
        while time.monotonic() < end:
            taken += len(line.recv(512 * KIB))
            time.sleep(QUICK.write_seconds / 5)
        taken += len(read_all(line))
    assert taken > 64 * MIB


# ---------------------------------------------------------------- malformed headers


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


# ---------------------------------------------------------------- numbers


def test_2000_half_open_requests_lock_nobody_out(tmp_path: Path) -> None:
    """The program itself, started with the usual limit of 1,024 files."""
    with running(tmp_path / "log", files=(1024, 8192)) as gateway, contextlib.ExitStack() as opened:
        for _ in range(2000):
            opened.enter_context(gateway.connect()).sendall(HEAD)
        with ThreadPoolExecutor(8) as clients:
            answers = [*clients.map(gateway.get, ["/buffered", "/streamed"] * 100)]
        assert {code for code, _ in answers} == {200}


def test_where_no_more_files_are_to_be_had_half_open_requests_give_way(tmp_path: Path) -> None:
    with running(tmp_path / "log", files=(1024, 1024)) as gateway, contextlib.ExitStack() as opened:
        most = Limits().with_files(1024).connections
        assert most is not None
        lines = [opened.enter_context(gateway.connect()) for _ in range(most + 200)]
        for line in lines:
            with contextlib.suppress(OSError):
                line.sendall(HEAD)
        with ThreadPoolExecutor(8) as clients:
            answers = [*clients.map(gateway.get, ["/buffered", "/streamed"] * 100)]
        assert {code for code, _ in answers} == {200}
        oldest, newest = lines[0], lines[-1]
        said = read_all(oldest)
        if said:  # its head had begun when it had to go
            refusal(said, 503, "busy")
        newest.sendall(CLOSE + b"\r\n")
        assert responses(read_all(newest)) == [200]


def test_beyond_the_limit_of_busy_connections_new_ones_are_refused(tmp_path: Path) -> None:
    limits = Limits(connections=8, requests_per_second=0)
    with running(tmp_path / "log", limits=limits) as gateway, contextlib.ExitStack() as opened:
        for _ in range(8):
            line = opened.enter_context(gateway.connect())
            line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            assert line.recv(1)
        for _ in range(3):
            answer = gateway.say(HEAD + b"\r\n")
            assert int(refusal(answer, 503, "busy")["retry-after"]) > 0
        line.close()

        def served() -> bool:
            return gateway.get("/buffered")[0] == 200

        eventually(served, "the place of a client that left stays taken")


def test_idle_connections_give_way_after_those_without_a_request(tmp_path: Path) -> None:
    with (
        running(tmp_path / "log", limits=Limits(connections=2, requests_per_second=0)) as gateway,
        gateway.connect() as idle,
    ):
        idle.sendall(HEAD + b"\r\n")
        assert status(idle) == 200
        with gateway.connect() as half:
            half.sendall(HEAD)
            time.sleep(0.2)  # for the gateway to have read it
            with gateway.connect() as third:
                third.sendall(HEAD + b"\r\n")
                assert status(third) == 200
                refusal(read_all(half), 503, "busy")
                assert gateway.get("/buffered")[0] == 200  # the idle one gives way
                assert read_all(idle) == b""


def test_a_client_has_a_limit_of_connections(tmp_path: Path) -> None:
    limits = Limits(connections_per_client=4, shared=(), requests_per_second=0)
    with running(tmp_path / "log", limits=limits) as gateway, contextlib.ExitStack() as opened:
        for _ in range(4):
            line = opened.enter_context(gateway.connect())
            line.sendall(HEAD + b"\r\n")
            assert status(line) == 200
        answer = gateway.say(HEAD + b"\r\n")
        assert int(refusal(answer, 429, "too_many_connections")["retry-after"]) > 0
        line.close()

        def served() -> bool:
            return gateway.get("/buffered")[0] == 200

        eventually(served, "the place of a closed connection stays taken")


def test_a_proxy_on_this_machine_has_the_connections_of_all_its_clients(tmp_path: Path) -> None:
    limits = Limits(connections_per_client=4, requests_per_second=0)
    with running(tmp_path / "log", limits=limits) as gateway, contextlib.ExitStack() as opened:
        for _ in range(40):
            line = opened.enter_context(gateway.connect())
            line.sendall(HEAD + b"\r\n")
            assert status(line) == 200


def test_a_client_that_asks_too_often_is_refused_before_its_body_is_read(tmp_path: Path) -> None:
    environment = {"REQUESTS_PER_SECOND": "0.001", "REQUESTS_BURST": "5"}
    burst = 5 * Limits().shared_by
    with running(tmp_path / "log", environment=environment) as gateway:
        answers = [gateway.get("/buffered") for _ in range(burst)]
        refused = [body for code, body in answers if code == 429]
        assert 0 < len(refused) <= 10  # those that asked whether it had started counted as well
        request = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
        for kind in KINDS:
            # The body is never sent.
            answer = gateway.say(request % kind.encode() + CLOSE + b"\r\n")
            assert int(refusal(answer, 429, "too_many_requests")["retry-after"]) > 0


def test_no_limit_of_requests_is_a_setting(tmp_path: Path) -> None:
    environment = {"REQUESTS_PER_SECOND": "0", "REQUESTS_BURST": "1"}
    with running(tmp_path / "log", environment=environment) as gateway:
        assert {gateway.get("/streamed")[0] for _ in range(50)} == {200}


def test_a_setting_that_is_no_number_stops_the_start(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="REQUESTS_PER_SECOND is 'many'"),
        running(tmp_path / "log", environment={"REQUESTS_PER_SECOND": "many"}),
    ):
        pass


def test_refusals_are_counted_in_one_line_and_not_logged_one_by_one(tmp_path: Path) -> None:
    with running(tmp_path / "log", limits=Limits(requests_per_second=0)) as gateway:
        for _ in range(30):
            gateway.say(b"nonsense\r\n\r\n")
        eventually(lambda: "refused: " in gateway.log.read_text(), "nothing is logged")
    assert gateway.log.read_text().count("\n") < 10


# ---------------------------------------------------------------- ordinary clients


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


@pytest.mark.parametrize("keep", [b"", CLOSE])
def test_an_early_answer_to_a_large_body_arrives(gateway: Running, keep: bytes) -> None:
    """404 before the body is read: a reset would destroy it."""
    with gateway.connect() as line:
        line.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\n%bContent-Length: 900000\r\n\r\n" % keep)
        for _ in range(9):
            line.sendall(b"x" * 100_000)
            time.sleep(0.02)
        if not keep:
            line.sendall(HEAD + CLOSE + b"\r\n")
        assert responses(read_all(line)) == ([404] if keep else [404, 200])


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
        assert status(line) == 404
        with contextlib.suppress(OSError):
            line.sendall(HEAD + b"\r\n")
        assert read_all(line) == b""


def test_an_upgrade_is_answered_as_a_plain_request(gateway: Running) -> None:
    upgrade = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aaaaaaaaaaaaaaaaaaaaaa==\r\n"
    with gateway.connect() as line:
        line.sendall(HEAD + b"Connection: Upgrade\r\n" + upgrade + b"\r\n")
        assert status(line) == 200


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
