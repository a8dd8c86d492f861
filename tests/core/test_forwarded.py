"""Whose request a proxy hands on: every way in which the headers may be written, and in which they may lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight import addresses
from safelight.web.forwarded import HOPS, Proxies

PROXY, CDN, CLIENT, LIE = "127.0.0.1", "10.0.8.7", "203.0.113.7", "198.51.100.66"
SECRET, NEXT = "an-origin-secret-of-32-characters", "the-origin-secret-that-comes-next"
PROXIES = Proxies(addresses.networks("127.0.0.1, 10.0.8.0/24, 2001:db8:ffff::/48"))
CLOUDFRONT = Proxies(secrets=(SECRET.encode(), NEXT.encode()))


def client(*headers: tuple[str, str], peer: str | None = PROXY, proxies: Proxies = PROXIES) -> str | None:
    return proxies.client(peer, [(name.encode(), value.encode("latin-1")) for name, value in headers])


def forwarded_for(*lines: str, peer: str = PROXY) -> str | None:
    return client(*(("x-forwarded-for", line) for line in lines), peer=peer)


def forwarded(*lines: str) -> str | None:
    return client(*(("forwarded", line) for line in lines))


ALL = (
    ("x-forwarded-for", LIE),
    ("forwarded", f"for={LIE}"),
    ("x-real-ip", LIE),
    ("cloudfront-viewer-address", f"{LIE}:1"),
)


@pytest.mark.parametrize("peer", [CLIENT, "127.0.0.2", "2001:db8::1", "::ffff:203.0.113.7"])
def test_headers_of_a_peer_that_is_no_trusted_proxy_are_ignored(peer: str) -> None:
    assert client(*ALL, peer=peer) == str(addresses.parse(peer))


def test_without_trusted_proxies_no_header_counts() -> None:
    assert client(*ALL, proxies=Proxies()) == PROXY
    assert client(*ALL, proxies=Proxies(), peer="testclient") == "testclient"
    assert client(*ALL, peer=None) is None


def test_without_a_header_the_proxy_itself_asks() -> None:
    assert client(("x-real-ip", CLIENT), ("x-forwarded-host", CLIENT)) == PROXY
    assert forwarded_for("") == PROXY
    assert forwarded_for(" , ,") == PROXY


def test_the_client_is_the_right_most_address_that_is_no_proxys() -> None:
    assert forwarded_for(CLIENT) == CLIENT
    assert forwarded_for(f"{LIE}, {CLIENT}") == CLIENT
    assert forwarded_for(f"{LIE},{CLIENT} , {CDN}") == CLIENT
    assert forwarded_for(f"{LIE}, {CLIENT},, ") == CLIENT
    assert forwarded_for(f"{CDN}, {CLIENT}") == CLIENT
    assert forwarded_for(CLIENT, peer=CDN) == CLIENT
    assert forwarded_for(CLIENT, peer="::ffff:127.0.0.1") == CLIENT


def test_where_all_are_trusted_it_is_the_left_most() -> None:
    assert forwarded_for("10.0.8.9, 10.0.8.8") == "10.0.8.9"


def test_several_lines_are_one_list() -> None:
    assert forwarded_for(LIE, f"{CLIENT}, {CDN}") == CLIENT
    assert forwarded_for(f"{LIE}, {CLIENT}", CDN) == CLIENT
    assert forwarded(f"for={LIE}", f"for={CLIENT}, for={CDN}") == CLIENT


@pytest.mark.parametrize(
    ("node", "address"),
    [
        ("203.0.113.7:4711", CLIENT),
        ("203.0.113.7:_port", CLIENT),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:203.0.113.7", CLIENT),
        ("[::ffff:203.0.113.7]:4711", CLIENT),
        ("fe80::7%eth0", "fe80::7"),
    ],
)
def test_nodes_are_read_with_and_without_brackets_and_ports(node: str, address: str) -> None:
    assert forwarded_for(node) == address
    assert forwarded(f'for="{node}"') == address


@pytest.mark.parametrize(
    "node", ["unknown", "_hidden", "garbage", "999.1.1.1", "[", "[]", "::1::", ":", "1.2.3.4:5:6", "é"]
)
def test_a_hop_that_is_no_address_is_not_looked_behind(node: str) -> None:
    assert forwarded_for(f"{LIE}, {node}") == PROXY
    assert forwarded_for(f"{LIE}, {node}, {CDN}") == CDN
    assert forwarded(f'for={LIE}, for="{node}"') == PROXY


@pytest.mark.parametrize(
    "element",
    [
        "for=203.0.113.7",
        'For="203.0.113.7:4711"',
        "for=203.0.113.7;proto=https;by=10.0.8.1",
        'by="[2001:db8::1]"; FOR=203.0.113.7 ;host="photos.example:443"',
        ' for=203.0.113.7;host="a,b"',
    ],
)
def test_forwarded_is_read_as_rfc_7239_writes_it(element: str) -> None:
    assert forwarded(f"for={LIE}, {element}") == CLIENT
    assert forwarded(f"for={LIE}, {element}, for={CDN}") == CLIENT


@pytest.mark.parametrize(
    "element",
    ["proto=https", "for=", "for", "for=1.2.3.4;for=203.0.113.7", 'for="203.0.113.7', r'for="203.0.113.\7"', "=;="],
)
def test_an_element_of_forwarded_without_one_address_is_not_looked_behind(element: str) -> None:
    assert forwarded(f"for={LIE}", element) == PROXY


@pytest.mark.parametrize(
    "lie", ['for="', 'for=";', '"', '\\"', 'for="\\', "for=1.2.3.4;", f"for={LIE}", ';host="', "," * 50]
)
def test_nothing_that_stands_left_hides_the_clients_address(lie: str) -> None:
    assert forwarded(f"{lie}, for={CLIENT}") == CLIENT
    assert forwarded(f"{lie}, for={CLIENT}, for={CDN}") == CLIENT
    assert forwarded_for(f"{lie}, {CLIENT}, {CDN}") == CLIENT


def test_x_forwarded_for_comes_before_forwarded() -> None:
    """nginx and Caddy write the former, and hand on the latter as a client sent it."""
    assert client(("forwarded", f"for={LIE}"), ("x-forwarded-for", CLIENT)) == CLIENT
    assert client(("forwarded", f"for={LIE}"), ("x-forwarded-for", "unknown")) == PROXY
    assert client(("forwarded", f"for={LIE}"), ("x-forwarded-for", "")) == PROXY


def test_a_chain_of_thousands_of_proxies_ends() -> None:
    assert forwarded_for(", ".join([LIE, *["10.0.8.2"] * 10_000])) == "10.0.8.2"
    assert forwarded_for(", ".join([LIE] * 10_000 + [CLIENT])) == CLIENT
    assert forwarded_for(", ".join([CLIENT, *["10.0.8.2"] * (HOPS - 1)])) == CLIENT
    assert forwarded_for(", ".join([CLIENT, *["10.0.8.2"] * HOPS])) == "10.0.8.2"


NODES = st.sampled_from(
    [PROXY, CDN, "10.0.8.8", CLIENT, LIE, "2001:db8::7", "[2001:db8:ffff::1]:80", "unknown", "", '"']
)


@given(st.lists(NODES, max_size=8), st.sampled_from([PROXY, CDN, CLIENT]))
def test_the_local_gateway_and_its_functions_agree(nodes: list[str], peer: str) -> None:
    """A function is told the gateway's result as its peer, in the list as well where it gets an event."""
    first = forwarded_for(", ".join(nodes), peer=peer)
    assert first is not None
    assert forwarded_for(", ".join(nodes), peer=first) == first
    assert forwarded_for(", ".join([*nodes, first]), peer=first) == first


@pytest.mark.parametrize("secret", [SECRET, NEXT])
@pytest.mark.parametrize(
    ("viewer", "address"),
    [
        ("203.0.113.7:46532", CLIENT),
        ("2001:db8:1:2:3:4:5:6:46532", "2001:db8:1:2:3:4:5:6"),
        ("2001:db8::7:46532", "2001:db8::7"),
        ("[2001:db8::7]:46532", "2001:db8::7"),
    ],
)
def test_cloudfront_names_its_viewer(secret: str, viewer: str, address: str) -> None:
    headers = ("x-origin-secret", secret), ("cloudfront-viewer-address", viewer), ("x-forwarded-for", LIE)
    assert client(*headers, peer="192.0.2.44", proxies=CLOUDFRONT) == address
    assert client(*headers, peer=address, proxies=CLOUDFRONT) == address


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-origin-secret", "")],
        [("x-origin-secret", SECRET[:-1])],
        [("x-origin-secret", f"{SECRET},{NEXT}")],
        [("x-origin-secret", SECRET), ("x-origin-secret", SECRET)],
        [("x-origin-secret", SECRET), ("x-origin-secret", "")],
        [("x-origin-secret", SECRET), ("cloudfront-viewer-address", f"{CLIENT}:1")],
        [("x-origin-secret", "sécret")],
    ],
)
def test_without_the_secret_or_with_two_viewers_cloudfronts_header_is_anybodys(headers: list[tuple[str, str]]) -> None:
    given = [*headers, ("cloudfront-viewer-address", f"{LIE}:1")]
    assert client(*given, peer="192.0.2.44", proxies=CLOUDFRONT) == "192.0.2.44"


@pytest.mark.parametrize("viewer", ["", "unknown", CLIENT, "203.0.113.7:1, 203.0.113.8:1", ":46532"])
def test_a_viewer_that_cannot_be_read_is_none(viewer: str) -> None:
    headers = ("x-origin-secret", SECRET), ("cloudfront-viewer-address", viewer)
    assert client(*headers, peer="192.0.2.44", proxies=CLOUDFRONT) == "192.0.2.44"


def test_no_secret_is_configured_by_default() -> None:
    for secret in ("", "None"):
        headers = ("x-origin-secret", secret), ("cloudfront-viewer-address", f"{LIE}:1")
        assert client(*headers, peer="192.0.2.44") == "192.0.2.44"
