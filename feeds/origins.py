"""Origins: the address of this site, and whether a request comes from one of its pages, by Django's own rule."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware


def is_from_this_site(request: HttpRequest) -> bool:
    """Whether the Origin header names this site or one of CSRF_TRUSTED_ORIGINS; True without the header.

    Browsers send the header with the site of the page; other programs do not send it. The rule is a private method of
    Django, and a test checks that it is there.
    """
    return "Origin" not in request.headers or CsrfViewMiddleware(HttpResponse)._origin_verified(request)  # type: ignore[attr-defined]


def site_of(request: HttpRequest) -> str:
    """The address of this site for links in letters: SITE_URL or, if it is not set, the one that the request names.

    ALLOWED_HOSTS has checked its host; it must therefore name hosts, and not *.
    """
    return settings.SITE_URL or f"{request.scheme}://{request.get_host()}"
