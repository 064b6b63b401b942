"""Carrying on: after a sign-in, the deed that was kept is done as its user."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from feeds.text.direction import isolated
from feeds.views import deeds


class CarryOn:
    """Middleware: when a request has signed somebody in, sends the form that was kept, and answers with its answer.

    A sign-in elsewhere than on the pages, such as in the API, drops it: nobody there sees what would happen.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        session = request.session
        if request.method != "POST" or not session.accessed or deeds.KEPT not in session:
            return response
        if not request.user.is_authenticated:
            return response
        deed = deeds.take(request)
        if deed is None or not deed.waiting or request.resolver_match is None:
            return response
        if request.resolver_match.app_name != "feeds":
            return response
        if deed.has_expired:
            messages.warning(request, _("What you sent was kept for an hour, which is over. Please send it again."))
            return response
        again = deed.sent_again(request)
        answer = self._ask(again) if deed.is_of_another(request.user.pk) else self._get_response(again)
        answer.cookies.update(response.cookies)
        return answer

    def _ask(self, again: HttpRequest) -> HttpResponse:
        why = _("You wrote this while signed in as somebody else. Send it as %(name)s?")
        return render(again, "409.html", {"why": why % {"name": isolated(again.user.get_username())}}, status=409)
