"""Proxies: whose word about the client's address is taken."""

from ipaddress import ip_network

import pytest

from airy.gate.proxies import Proxies

OURS = Proxies([ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48"), ip_network("127.0.0.1")])
FORWARDED = {
    "203.0.113.5": "203.0.113.5",
    "198.51.100.1, 203.0.113.5": "203.0.113.5",
    "198.51.100.1, 203.0.113.5, 10.1.1.1": "203.0.113.5",
    "203.0.113.5:4711": "203.0.113.5",
    "::ffff:203.0.113.5": "203.0.113.5",
    "[2001:DB8::5]:443, 2001:db8:ffff::1": "2001:db8::5",
    "198.51.100.1, unknown": "10.0.0.1",
    "198.51.100.1, unknown, 10.2.2.2": "10.2.2.2",
    "": "10.0.0.1",
    ", ,": "10.0.0.1",
    "10.3.3.3": "10.3.3.3",
}


def seen(peer: str | None, *forwarded: str, scheme: str = "http", proto: str = "", proxies: Proxies = OURS) -> dict:
    headers = [(b"X-Forwarded-For", value.encode()) for value in forwarded]
    headers += [(b"x-forwarded-proto", proto.encode())] if proto else []
    scope = {
        "type": "websocket" if scheme.startswith("ws") else "http",
        "scheme": scheme,
        "client": (peer, 4711) if peer is not None else None,
        "headers": [(b"host", b"airy.example"), *headers],
    }
    return proxies.seen_through(scope)


@pytest.mark.parametrize("forwarded", FORWARDED)
def test_the_client_is_the_last_address_that_is_no_proxy(forwarded: str) -> None:
    assert seen("10.0.0.1", forwarded)["client"][0] == FORWARDED[forwarded]


def test_a_header_in_two_lines_is_one() -> None:
    assert seen("10.0.0.1", "198.51.100.1", "203.0.113.5, 10.1.1.1")["client"][0] == "203.0.113.5"


def test_a_stranger_is_not_believed() -> None:
    told = seen("203.0.113.9", "10.0.0.1", proto="https")
    assert told["client"] == ("203.0.113.9", 4711)
    assert told["scheme"] == "http"


def test_a_peer_is_a_proxy_in_every_spelling() -> None:
    assert seen("::ffff:10.0.0.1", "203.0.113.5")["client"][0] == "203.0.113.5"
    assert seen("2001:DB8:FFFF:0::1", "203.0.113.5")["client"][0] == "203.0.113.5"


@pytest.mark.parametrize(("scheme", "proto", "becomes"), [
    ("http", "https", "https"), ("ws", "https", "wss"), ("https", "http", "http"), ("http", "http, https", "https"),
    ("http", "gopher", "http"), ("http", "", "http"),
])  # fmt: skip
def test_a_proxy_tells_the_scheme(scheme: str, proto: str, becomes: str) -> None:
    assert seen("10.0.0.1", proto=proto, scheme=scheme)["scheme"] == becomes


def test_what_was_believed_is_taken_out() -> None:
    assert seen("10.0.0.1", "203.0.113.5", proto="https")["headers"] == [(b"host", b"airy.example")]


def test_a_proxy_on_a_unix_socket_is_believed_if_it_is_named() -> None:
    assert seen(None, "203.0.113.5")["client"] is None
    assert seen(None, "203.0.113.5", proxies=Proxies(["unix"]))["client"][0] == "203.0.113.5"
