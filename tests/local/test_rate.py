"""Counting requests by client: the bucket, who a client is, and the bound of what is remembered."""

from __future__ import annotations

import pytest

from local.limits import RESERVED_FILES, Limits
from local.rate import Rate, clients_of, is_within


def allowed(rate: Rate, client: str, now: float, tries: int, share: int = 1) -> int:
    return sum(rate.wait(client, now, share) == 0 for _ in range(tries))


def test_a_full_bucket_holds_the_burst_and_is_refilled_at_the_rate() -> None:
    rate = Rate(10, 50, 100)
    assert allowed(rate, "a", 1000.0, 200) == 50
    assert allowed(rate, "b", 1000.0, 200) == 50
    for second in range(1, 20):
        assert allowed(rate, "a", 1000.0 + second, 200) == 10
    assert allowed(rate, "a", 5000.0, 200) == 50


def test_the_wait_is_until_the_next_token() -> None:
    rate = Rate(0.5, 1, 100)
    assert rate.wait("a", 1000.0) == 0
    assert rate.wait("a", 1000.5) == pytest.approx(1.5)
    assert rate.wait("a", 1000.5) == pytest.approx(1.5)  # refused requests cost nothing
    assert rate.wait("a", 1002.0) == 0


def test_a_share_is_that_many_clients() -> None:
    rate = Rate(10, 50, 100)
    assert allowed(rate, "proxy", 1000.0, 1000, share=10) == 500
    assert allowed(rate, "proxy", 1001.0, 1000, share=10) == 100


def test_only_so_many_clients_are_remembered() -> None:
    rate = Rate(1, 1, 3)
    for client in "abcd":
        rate.wait(client, 1000.0)
    assert len(rate) == 3
    assert rate.wait("b", 1000.0) > 0
    assert rate.wait("a", 1000.0) == 0  # forgotten
    for number in range(10_000):
        rate.wait(str(number), 1000.0)
    assert len(rate) == 3


def test_a_site_has_the_limits_of_eight_clients() -> None:
    assert clients_of("192.0.2.1") == (("192.0.2.1", 1),)
    assert clients_of("2001:db8:1:2::3") == (("2001:db8:1:2::/64", 1), ("2001:db8:1::/48", 8))


def test_65536_networks_of_one_site_have_not_65536_buckets() -> None:
    rate = Rate(1, 10, 100_000)
    taken = sum(
        rate.wait_for_address(f"2001:db8:1:{network:x}::{host:x}", 1000.0) == 0
        for network in range(200)
        for host in range(3)
    )
    assert taken == 80
    assert rate.wait_for_address("2001:db8:2::1", 1000.0) == 0


def test_a_neighbour_that_asks_too_often_uses_up_nothing_of_its_sites() -> None:
    rate = Rate(1, 10, 100_000)
    assert sum(rate.wait_for_address("2001:db8:1:1::1", 1000.0) == 0 for _ in range(1000)) == 10
    assert sum(rate.wait_for_address("2001:db8:1:2::1", 1000.0) == 0 for _ in range(1000)) == 10


def test_shared_is_every_address_of_this_machine() -> None:
    shared = Limits().shared
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert is_within(address, shared)
        assert not is_within(address, ())
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "", "localhost"):
        assert not is_within(address, shared)


def test_settings_change_the_limits() -> None:
    assert Limits.from_environment({"REQUESTS_PER_SECOND": ""}) == Limits()
    given = {"REQUESTS_PER_SECOND": "2.5", "REQUESTS_BURST": "7", "CONNECTIONS_PER_CLIENT": "0", "OTHER": "x"}
    changed = Limits.from_environment(given)
    assert changed == Limits(requests_per_second=2.5, requests_burst=7, connections_per_client=0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REQUESTS_PER_SECOND", "many"),
        ("REQUESTS_PER_SECOND", "-1"),
        ("REQUESTS_PER_SECOND", "nan"),
        ("REQUESTS_PER_SECOND", "inf"),
        ("REQUESTS_BURST", "0"),
        ("REQUESTS_BURST", "1.5"),
        ("CONNECTIONS_PER_CLIENT", "-1"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{variable} is .*{value}.* Set it to "):
        Limits.from_environment({variable: value})


def test_connections_leave_files_for_everything_else() -> None:
    for files in (1024, 4096, 10_240):
        connections = Limits().with_files(files).connections
        assert connections is not None
        assert 0 < connections * 2 + RESERVED_FILES <= files
    assert Limits(connections=5).with_files(10_240).connections == 5
