"""Clients: whom a limit counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from feeds.limits.addresses import canonical, network
from feeds.text.usernames import folded

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def address(request: HttpRequest | None) -> str:
    """The client's address in its one spelling. The gate (`airy.gate`) has put it where the server puts the peer's."""
    return "unknown" if request is None else canonical(request.META.get("REMOTE_ADDR") or "")


def network_of(request: HttpRequest | None) -> str:
    """The network that a limit counts for the client's address."""
    return network(address(request))


def client(request: HttpRequest, user: AbstractBaseUser | AnonymousUser | None = None) -> str:
    """The client that a limit counts: the user or, if not signed in, the network. user: by default the request's."""
    user = request.user if user is None else user
    return f"user/{user.pk}" if user.is_authenticated else network_of(request)


def account(name: str) -> str:
    """The account that somebody names, whether it exists or not: a keyed hash, so that no name is kept where it counts.

    Spellings that sign in to one account are one.
    """
    return _hidden("account", folded(name))


def mailbox(email: str) -> str:
    """The mailbox of an address, whether anybody has it or not: a keyed hash, as that of an account.

    Spellings that `UserQuerySet.reached_at` takes for one address are one: "ı" is a capital "I" there.
    """
    return _hidden("mailbox", email.upper().casefold())


def _hidden(kind: str, text: str) -> str:
    return f"{kind}/" + salted_hmac(f"feeds.limits.{kind}", text, algorithm="sha256").hexdigest()[:32]
