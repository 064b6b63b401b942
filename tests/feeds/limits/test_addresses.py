"""Addresses: one client is counted once, however its address is written."""

import pytest

from feeds.limits import canonical, network

SPELLINGS = {
    "192.0.2.7": [
        "192.0.2.7", " 192.0.2.7 ", "192.0.2.7:4711", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]:80", "::ffff:c000:207",
        "0:0:0:0:0:ffff:192.0.2.7",
    ],
    "2001:db8::7": [
        "2001:db8::7", "2001:DB8::7", "2001:0db8:0:0:0:0:0:7", "[2001:db8::7]", "[2001:db8::7]:443", "2001:db8::7%eth0",
        "[2001:db8::7%25eth0]:443",
    ],
    "unknown": ["", "unknown", "_hidden", "192.0.2", "192.0.2.256", "[", "::::", "a:b", "192.0.2.7.example", "١.١.١.١"],
}  # fmt: skip


@pytest.mark.parametrize("address", SPELLINGS)
def test_all_spellings_of_an_address_are_one(address: str) -> None:
    assert {canonical(spelling) for spelling in SPELLINGS[address]} == {address}


def test_a_network_of_ipv6_is_counted_as_one_client() -> None:
    assert {network(f"2001:db8:0:1::{number:x}") for number in range(1, 300)} == {"2001:db8:0:1::/64"}
    assert network("2001:db8:0:2::1") != network("2001:db8:0:1::1")


def test_each_address_of_ipv4_is_a_client() -> None:
    assert network("192.0.2.7") != network("192.0.2.8")
    assert network("::ffff:192.0.2.7") == network("192.0.2.7:99") == "192.0.2.7"
