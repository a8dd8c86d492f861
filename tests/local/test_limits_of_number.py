"""How many connections and requests there may be, seen from outside the real process."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.limits import Limits
from tests.local.gateways import (
    CLOSE,
    HEAD,
    KINDS,
    Running,
    eventually,
    read_all,
    refusal,
    responses,
    running,
    status,
)


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


def test_bodies_that_do_not_arrive_give_way_the_one_without_progress_first(tmp_path: Path) -> None:
    post = b"POST /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\nx"
    limits = Limits(connections=8, requests_per_second=0)
    with running(tmp_path / "log", limits=limits) as gateway, contextlib.ExitStack() as opened:
        lines = [opened.enter_context(gateway.connect()) for _ in range(8)]
        for number, line in enumerate(lines):
            line.sendall(post % KINDS[number % 2].encode())
            time.sleep(0.1)  # for the gateway to have read it
        lines[0].sendall(b"x")
        time.sleep(0.2)
        with gateway.connect() as honest:
            for _ in range(3):
                honest.sendall(HEAD + b"\r\n")
                assert status(honest) == 200
            refusal(read_all(lines[1]), 503, "busy")
            honest.sendall(HEAD + CLOSE + b"\r\n")
            assert responses(read_all(honest)) == [200]
        for line in (lines[0], lines[7]):
            line.sendall(b"x" * (98 if line is lines[0] else 99))
            assert responses(read_all(line)) == [200]
        assert "ERROR" not in gateway.log.read_text()


def test_400_half_open_bodies_lock_nobody_out(tmp_path: Path) -> None:
    with running(tmp_path / "log", files=(1024, 1024)) as gateway, contextlib.ExitStack() as opened:
        for _ in range(400):
            line = opened.enter_context(gateway.connect())
            line.sendall(b"POST /buffered HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        assert {gateway.get("/buffered")[0] for _ in range(50)} == {200}


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


def asked(gateway: Running, client: str) -> int:
    answer = gateway.say(HEAD + b"X-Forwarded-For: " + client.encode() + b"\r\n" + CLOSE + b"\r\n")
    [code] = responses(answer)
    return code


def test_behind_a_trusted_proxy_each_client_has_its_own_limit_of_requests(tmp_path: Path) -> None:
    environment = {"TRUSTED_PROXIES": "127.0.0.1", "REQUESTS_PER_SECOND": "0.001", "REQUESTS_BURST": "5"}
    with running(tmp_path / "log", environment=environment) as gateway:
        assert [asked(gateway, "203.0.113.7") for _ in range(8)] == [200] * 5 + [429] * 3
        assert [asked(gateway, f"198.51.100.{number}, 203.0.113.7") for number in range(3)] == [429] * 3
        assert [asked(gateway, "203.0.113.8") for _ in range(8)] == [200] * 5 + [429] * 3
        site = [asked(gateway, f"2001:db8:0:{number:x}::1") for number in range(50)]
        assert site == [200] * 40 + [429] * 10


def test_a_trusted_proxy_has_the_connections_of_all_its_clients(tmp_path: Path) -> None:
    """And where the proxies are elsewhere, a client on this machine is a client like any other."""
    for proxies, opened in (("127.0.0.1", 12), ("10.0.8.7", 4)):
        environment = {"TRUSTED_PROXIES": proxies, "CONNECTIONS_PER_CLIENT": "4"}
        with running(tmp_path / "log", environment=environment) as gateway, contextlib.ExitStack() as held:
            codes = []
            for _ in range(12):
                line = held.enter_context(gateway.connect())
                line.sendall(HEAD + b"\r\n")
                codes.append(status(line))
            assert Counter(codes)[200] in (opened, opened - 1)  # the one that asked whether it had started may linger


def test_headers_count_for_nothing_where_no_proxy_is_trusted(tmp_path: Path) -> None:
    environment = {"REQUESTS_PER_SECOND": "0.001", "REQUESTS_BURST": "5"}
    with running(tmp_path / "log", environment=environment) as gateway:
        codes = [asked(gateway, f"203.0.113.{number}") for number in range(5 * Limits().shared_by + 5)]
        assert codes[-5:] == [429] * 5


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
