"""Views: the page of notifications."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from feeds.views.access import UserRequest, signed_in
from notifications.notices.listing import latest_notices
from notifications.notices.notices import mark_read

#: Digits of a number above which it is ignored: the database holds numbers of 18 digits.
MOST_DIGITS = 18


@signed_in
def notifications(request: UserRequest) -> HttpResponse:
    """`/notifications`: the notices, the latest first."""
    cursor = request.GET.get("cursor")
    page = latest_notices(request.user, cursor=cursor)
    # The first page says itself up to which notice it goes: the stream, read later, may already be further.
    upto = None if cursor else page.items[0].seq if page.items else 0
    return render(request, "notifications/list.html", {"page": page, "upto": upto})


@require_POST
@signed_in
def read(request: UserRequest) -> HttpResponse:
    """`/notifications/read`: mark all notices up to the number on the page as read."""
    upto = request.POST.get("upto", "")
    if upto.isascii() and upto.isdecimal() and len(upto) <= MOST_DIGITS:
        mark_read(request.user.pk, upto=int(upto))
    return redirect("notifications:list")
