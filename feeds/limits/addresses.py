"""Addresses: one spelling of a client's address, and the network that a limit counts."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


def parse(text: str) -> Address | None:
    """The address in a text as servers and proxies write it; None if it is none.

    A port, brackets and the zone of an IPv6 address are left out. IPv4 written as IPv6 (`::ffff:192.0.2.7`) is IPv4.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def canonical(text: str) -> str:
    """The one spelling of an address; "unknown" for a text that is none."""
    address = parse(text)
    return "unknown" if address is None else str(address)


@lru_cache(maxsize=4096)
def network(text: str) -> str:
    """What a limit counts for an address: an IPv4 address, or the /64 of IPv6, all of which one client may use."""
    address = parse(text)
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return "unknown" if address is None else str(address)
