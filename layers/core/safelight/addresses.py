"""IP addresses and networks: reading them, and which clients they stand for."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_HOUSEHOLD, _SITE = 64, 48
SITE_CLIENTS = 8
"""How many clients' limits a site has: more than one, for the sake of neighbours, and far fewer than 65,536."""


@lru_cache(maxsize=4096)
def parse(text: str | None) -> Address | None:
    """The address that a text spells, None if it spells none. A mapped IPv4 address is read as IPv4; a zone is cut."""
    try:
        ip = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


@lru_cache(maxsize=4096)
def groups(text: str | None) -> tuple[str, ...]:
    """The clients that an address belongs to, the smallest first.

    An IPv4 address is one client. A household has an IPv6 network of 64 bits or a few of them, and a site or a customer
    of a hosting company one of 48 bits, which has 65,536 of these (RFC 6177). All texts that spell no address share one
    group.
    """
    ip = parse(text)
    if ip is None:
        return ("unknown",)
    if isinstance(ip, ipaddress.IPv4Address):
        return (str(ip),)
    return tuple(str(ipaddress.ip_network((ip, bits), strict=False)) for bits in (_HOUSEHOLD, _SITE))


def networks(text: str) -> tuple[Network, ...]:
    """The networks of a list that is separated by commas; an address is a network of one.

    A network of mapped IPv4 addresses is read as IPv4, like an address. Raises ValueError for anything else, and for a
    network of all addresses, or of all mapped ones. The message does not quote the entry.
    """
    found = []
    for place, one in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
        try:
            network = ipaddress.ip_network(one)
        except ValueError:
            raise ValueError(
                f"entry {place} is neither an address nor a network: write 127.0.0.1 or 10.0.8.0/24, without bits"
                " behind the prefix"
            ) from None
        network = _unmapped(network)
        if not network.prefixlen:
            raise ValueError(f"entry {place} is every address there is: name the proxies alone")
        if isinstance(network, ipaddress.IPv6Network) and network.overlaps(_MAPPED):
            raise ValueError(f"entry {place} holds all of IPv4 as mapped addresses: name the proxies alone")
        found.append(network)
    return tuple(found)


def _unmapped(network: Network) -> Network:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        first = network.network_address.ipv4_mapped
        return ipaddress.ip_network(f"{first}/{network.prefixlen - _MAPPED.prefixlen}")
    return network


def within(ip: Address, known: Iterable[Network]) -> bool:
    """Whether an address lies in one of these networks."""
    return any(ip in network for network in known)
