"""Access: who may use a view, how often, and where the view redirects to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from feeds import limits
from feeds.limits import SAFE_METHODS, Limit
from feeds.models import User
from feeds.views.refusals import TooOftenError

View = Callable[..., HttpResponse]


class UserRequest(HttpRequest):
    """A request of a user who is signed in."""

    user: User


def signed_in(view: View) -> View:
    """Decorate a view that needs a user: others are sent to sign in and then back. Writing requests are limited."""

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
    """Count one request. Raises TooOftenError if the limit is exceeded."""
    if (wait := limit.spend(client)) is not None:
        raise TooOftenError(wait)


def address_back(request: HttpRequest, default: str = "/") -> str:
    """The path in the parameter `next`, from which the request came; `default` if it is missing or on another site."""
    address = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if ours else default


def go_back(request: HttpRequest, default: str = "/") -> HttpResponseRedirect:
    """Redirect to `address_back`."""
    return HttpResponseRedirect(address_back(request, default))
