"""Proxies: the address and scheme of the client, of which a proxy may tell if TRUSTED_PROXIES names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import structlog

from airy.logs.request import HEADER
from feeds.limits.addresses import Address, parse

logger = structlog.get_logger("airy.gate")

Network = IPv4Network | IPv6Network
#: The name of a proxy that connects by a Unix socket, which has no address.
UNIX = "unix"
#: The headers by which a proxy tells of its client. Once believed they are taken out of the request.
FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto")
#: Proxies one behind the other, at most.
MOST_HOPS = 20
#: The key of the scope with the id that a trusted proxy gave the request; empty without one.
REQUEST_ID = "airy.request_id"


class Proxies:
    """The proxies that are believed: addresses, networks, and UNIX."""

    def __init__(self, networks: Iterable[Network | str]) -> None:
        self._unix = UNIX in (networks := tuple(networks))
        self._networks = tuple(network for network in networks if not isinstance(network, str))
        self._warned = False

    def trusts(self, address: Address | None) -> bool:
        """Whether this address is a proxy's; None is a Unix socket."""
        return self._unix if address is None else any(address in network for network in self._networks)

    def seen_through(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The ASGI scope with the client's own address and scheme, and with the id that a proxy gave the request.

        Each proxy adds the address that it was asked from at the right of X-Forwarded-For. So the client is the
        rightmost one that is no proxy; what stands to the left of it, anybody may have written.
        """
        peer = scope.get("client")
        address = parse(peer[0]) if peer and peer[0] else None
        trusted = self.trusts(address)
        seen = dict(scope)
        if trusted:
            for text in reversed(_listed(scope, FORWARDED[0])[-MOST_HOPS:]):
                if (before := parse(text)) is None:
                    break
                address = before
                if not self.trusts(address):
                    break
            if (scheme := _listed(scope, FORWARDED[1])[-1:]) in (["http"], ["https"]):
                seen["scheme"] = scheme[0].replace("http", "ws") if scope["type"] == "websocket" else scheme[0]
            seen["headers"] = [pair for pair in scope["headers"] if pair[0].lower() not in FORWARDED]
        elif not self._warned and address is not None and address.is_private and _listed(scope, FORWARDED[0]):
            self._warned = True
            logger.warning(
                "X-Forwarded-For is not believed; is this a proxy for TRUSTED_PROXIES?", address=str(address)
            )
        seen[REQUEST_ID] = _request_id(scope) if trusted else b""
        seen["client"] = None if address is None else (str(address), 0 if trusted or not peer else peer[1])
        return seen


def _request_id(scope: Mapping[str, Any]) -> bytes:
    """The header X-Request-ID, if it comes once."""
    values = [value for key, value in scope["headers"] if key.lower() == HEADER]
    return bytes(values[0]) if len(values) == 1 else b""


def _listed(scope: Mapping[str, Any], name: bytes) -> list[str]:
    """The comma-separated values of a header, which may come more than once."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return [part.strip() for part in ",".join(values).split(",") if part.strip()]
