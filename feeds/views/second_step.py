"""Second step: between the right password and the session stands the code of the second factor.

The session holds a marker meanwhile, which signs nobody in: who, until when, and by which password.
"""

from __future__ import annotations

import time

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from feeds import actions
from feeds.errors import TooManyCodesError
from feeds.forms import CodeForm
from feeds.models import User
from feeds.views.access import address_back, go_back
from feeds.views.posts import PAGE_METHODS

MARKER = "second_step"
#: Seconds for which the password counts.
PATIENCE = 600


def to_second_step(request: HttpRequest, user: User, *, wanted: str) -> HttpResponse:
    """Lead a user who gave the right password to the code. wanted: the path to go to after that."""
    request.session.cycle_key()
    request.session[MARKER] = {"user": user.pk, "until": time.time() + PATIENCE, "hash": user.get_session_auth_hash()}
    query = urlencode({"next": wanted}) if wanted else ""
    return redirect(f"{reverse('feeds:second_step')}?{query}".rstrip("?"))


@never_cache
@PAGE_METHODS
def second_step(request: HttpRequest) -> HttpResponse:
    """`/login/code`: asks for the code, and signs in."""
    user = _who_gave_the_password(request)
    if user is None:
        request.session.pop(MARKER, None)
        return redirect_to_login(address_back(request, ""))
    form = CodeForm(request.POST or None)
    if request.method == "POST":
        try:
            passed = form.act(actions.pass_factor, user, request=request)
        except TooManyCodesError as refusal:
            form.add_error("code", refusal.message)
            passed = None
        if passed:
            del request.session[MARKER]
            login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
            return go_back(request)
    context = {"form": form, "next": address_back(request, "")}
    return render(request, "feeds/second_step.html", context, status=422 if form.errors else 200)


def _who_gave_the_password(request: HttpRequest) -> User | None:
    """The user of the marker; None without one, and when it is too old, the password changed, or the user is banned."""
    marker = request.session.get(MARKER)
    if marker is None or marker["until"] < time.time():
        return None
    user: User | None = User.objects.active().filter(pk=marker["user"]).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), marker["hash"]):
        return None
    return user
