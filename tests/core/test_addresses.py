"""Reading addresses and networks, and whom an address stands for."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from safelight import addresses


@pytest.mark.parametrize(
    ("text", "clients"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("2001:db8:1:2:3:4:5:6", ["2001:db8:1:2::/64", "2001:db8:1::/48"]),
        ("2001:DB8:1:2::", ["2001:db8:1:2::/64", "2001:db8:1::/48"]),
        ("::ffff:192.0.2.1", ["192.0.2.1"]),
        ("fe80::1%eth0", ["fe80::/64", "fe80::/48"]),
        ("", ["unknown"]),
        (None, ["unknown"]),
        ("not an address", ["unknown"]),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(text: str | None, clients: list[str]) -> None:
    assert [*addresses.groups(text)] == clients


def test_networks_are_listed_with_commas() -> None:
    listed = addresses.networks(" 127.0.0.1, 10.0.8.0/24,, 2001:db8::/32 ,")
    assert listed == (ip_network("127.0.0.1/32"), ip_network("10.0.8.0/24"), ip_network("2001:db8::/32"))
    assert addresses.networks("") == ()


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("::ffff:10.0.0.0/104", "10.200.0.1", "11.0.0.1"),
        ("::ffff:10.0.8.1", "10.0.8.1", "10.0.8.2"),
        ("::ffff:10.0.8.0/120", "::ffff:10.0.8.9", "::ffff:10.0.9.1"),
    ],
)
def test_networks_of_mapped_addresses_are_ipv4(text: str, inside: str, outside: str) -> None:
    known = addresses.networks(text)
    for address, expected in ((inside, True), (outside, False)):
        ip = addresses.parse(address)
        assert ip is not None
        assert addresses.within(ip, known) is expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("127.0.0.1, proxy.example", "entry 2 is neither"),
        ("10.0.8.1/24", "entry 1 is neither"),
        ("10.0.8.0/33", "entry 1 is neither"),
        ("*", "entry 1 is neither"),
        ("0.0.0.0/0", "entry 1 is every address"),
        ("127.0.0.1,::/0", "entry 2 is every address"),
        ("::ffff:0:0/96", "entry 1 is every address"),
        ("127.0.0.1,::/64", "entry 2 holds all of IPv4"),
    ],
)
def test_what_is_no_network_is_refused_by_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        addresses.networks(text)
