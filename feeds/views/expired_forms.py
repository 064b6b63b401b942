"""Expired forms: those whose token is missing, or of another session: somebody signed in or out in another tab."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.views.deeds import can_be_shown


def expired_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The page for such a form. It shows what was sent, to be sent again with a token of now."""
    return render(request, "403_csrf.html", {"again": can_be_shown(request)}, status=403)
