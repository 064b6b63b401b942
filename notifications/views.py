"""The page of notifications."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from feeds.views.access import UserRequest, signed_in
from notifications.notices.inbox import inbox
from notifications.notices.notices import mark_read

#: As many digits as a number of a stream can have.
DIGITS = 18


@signed_in
def notifications(request: UserRequest) -> HttpResponse:
    """`/notifications`: what happened, the latest first."""
    cursor = request.GET.get("cursor")
    page = inbox(request.user, cursor=cursor)
    # The first page tells how far it goes itself: what came before the bell was asked is not on it.
    upto = None if cursor else page.items[0].seq if page.items else 0
    return render(request, "notifications/list.html", {"page": page, "upto": upto})


@require_POST
@signed_in
def read(request: UserRequest) -> HttpResponse:
    """`/notifications/read`: all up to the number that the page showed is read."""
    upto = request.POST.get("upto", "")
    if upto.isascii() and upto.isdecimal() and len(upto) <= DIGITS:
        mark_read(request.user.pk, upto=int(upto))
    return redirect("notifications:list")
