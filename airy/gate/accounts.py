"""Accounts: the limits per account for reading and writing, for pages, API and admin alike."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from airy.gate.refused import refused
from feeds import limits
from feeds.api.auth import token_of
from feeds.errors import TooOftenError
from feeds.limits import SAFE_METHODS
from feeds.views.refusals import too_often


class AccountLimits:
    """Middleware: counts each request for the account of its session or API token, else for its address.

    Refused: 429 with Retry-After, a page or, under /api/, JSON. Stands behind the session and before the views.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.RATE_LIMITS:
            account = account_of(request)
            who = account or limits.network_of(request)
            reading = limits.READ if account else limits.VISIT
            try:
                limits.spend(reading if request.method in SAFE_METHODS else limits.WRITE, who)
            except TooOftenError as refusal:
                if not account:
                    refused.add(who, seconds=refusal.wait)
                return too_often(request, refusal)
        return self._get_response(request)


def account_of(request: HttpRequest) -> str:
    """The account of a request: by the token where tokens count, by the session without reading its user; or empty."""
    if request.path_info.startswith("/api/") and (token := token_of(request)) is not None:
        return f"user/{token.user_id}"
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        was_read = request.session.accessed
        user_id = request.session.get(SESSION_KEY)
        request.session.accessed = was_read  # what is answered does not depend on it, so nothing need vary by it
        if user_id:
            return f"user/{user_id}"
    return ""
