"""Origins: whether a request comes from a page of this site, by Django's own rule for forms."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware


def is_from_this_site(request: HttpRequest) -> bool:
    """Whether the Origin header names this site or one of CSRF_TRUSTED_ORIGINS; True without the header.

    Browsers send the header with the site of the page; other programs do not send it. The rule is a private method of
    Django, and a test checks that it is there.
    """
    return "Origin" not in request.headers or CsrfViewMiddleware(HttpResponse)._origin_verified(request)  # type: ignore[attr-defined]
