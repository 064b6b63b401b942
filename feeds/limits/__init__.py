"""Limits: how often one client may send a kind of request, and how often somebody may try a password.

A client is an account, an address, or both as a pair. All web processes count together in Redis; without Redis, or
while it is lost, each process counts by itself, in a bounded number of keys. Nothing here writes a table.
"""

from feeds.limits.addresses import canonical, network
from feeds.limits.clients import address, client, mailbox, network_of
from feeds.limits.counting import redis_state
from feeds.limits.limit import (
    EXPORTS,
    FORGOTTEN,
    LETTERS,
    READ,
    REGISTRATIONS,
    SAFE_METHODS,
    TRIES_BY_ACCOUNT,
    TRIES_BY_ADDRESS,
    TRIES_BY_PAIR,
    VISIT,
    WRITE,
    Limit,
    spend,
)
from feeds.limits.tries import Attempt, attempt

__all__ = [
    "EXPORTS",
    "FORGOTTEN",
    "LETTERS",
    "READ",
    "REGISTRATIONS",
    "SAFE_METHODS",
    "TRIES_BY_ACCOUNT",
    "TRIES_BY_ADDRESS",
    "TRIES_BY_PAIR",
    "VISIT",
    "WRITE",
    "Attempt",
    "Limit",
    "address",
    "attempt",
    "canonical",
    "client",
    "mailbox",
    "network",
    "network_of",
    "redis_state",
    "spend",
]
