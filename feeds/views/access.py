"""Access: who may use a view, and where the view redirects to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from feeds.limits import SAFE_METHODS
from feeds.models import User

View = Callable[..., HttpResponse]


class UserRequest(HttpRequest):
    """A request of a user who is signed in."""

    user: User


def signed_in(view: View) -> View:
    """Decorate a view that needs a user: others are sent to sign in and then back."""

    @wraps(view)
    def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return to_sign_in(request)
        return view(request, *args, **kwargs)

    return enter


def to_sign_in(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the sign-in, and from there to this page or, from a form that was sent, to the page of the form."""
    form_sent = request.method not in SAFE_METHODS
    return redirect_to_login(address_back(request, page_before(request)) if form_sent else request.get_full_path())


def address_back(request: HttpRequest, default: str = "/") -> str:
    """The path in the parameter `next`, from which the request came; `default` if it is missing or on another site."""
    address = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if ours else default


def page_before(request: HttpRequest, default: str = "/") -> str:
    """The path of the page from which the request came, by its Referer; `default` if that is unknown or elsewhere."""
    address = urlsplit(request.headers.get("Referer", ""))
    if (address.scheme, address.netloc) != (request.scheme, request.get_host()):
        return default
    return urlunsplit(("", "", address.path or "/", address.query, ""))


def go_back(request: HttpRequest, default: str = "/") -> HttpResponseRedirect:
    """Redirect to `address_back`."""
    return HttpResponseRedirect(address_back(request, default))
