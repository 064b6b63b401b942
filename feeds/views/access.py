"""Entrances: who may come in to a view, how often, and where one is sent back to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from feeds import limits
from feeds.limits import Limit
from feeds.models import User
from feeds.views.refusals import TooOftenError

View = Callable[..., HttpResponse]
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class UserRequest(HttpRequest):
    """A request of somebody signed in."""

    user: User


def signed_in(view: View) -> View:
    """Only for who is signed in; all others sign in first, and come back to where they were. Writing is limited."""

    @wraps(view)
    def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(
                request.get_full_path() if request.method in SAFE_METHODS else address_back(request)
            )
        if request.method not in SAFE_METHODS:
            spend(limits.WRITE, limits.client(request))
        return view(request, *args, **kwargs)

    return enter


def spend(limit: Limit, client: str) -> None:
    """Count one more. Raises TooOftenError."""
    if (wait := limit.spend(client)) is not None:
        raise TooOftenError(wait)


def address_back(request: HttpRequest, default: str = "/") -> str:
    """The page somebody came from, as its form says; only ever an address of ours."""
    address = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if ours else default


def go_back(request: HttpRequest, default: str = "/") -> HttpResponseRedirect:
    """To the page somebody came from."""
    return HttpResponseRedirect(address_back(request, default))
