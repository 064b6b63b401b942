"""Emails: the link that confirms an address, and the letter with it once more."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.errors import NotFoundError
from feeds.origins import site_of
from feeds.views.access import UserRequest, signed_in
from feeds.views.posts import PAGE_METHODS


@never_cache
@PAGE_METHODS
def confirm_email(request: HttpRequest, user_id: int, token: str) -> HttpResponse:
    """`/email/{user}/{token}`: a page with a button. Opening it changes nothing: programs that look for viruses in
    mails open every link. Who has the link need not be signed in.
    """
    try:
        if request.method != "POST":
            person = actions.user_of_email_token(user_id=user_id, token=token)
            return render(request, "feeds/confirm_email.html", {"person": person})
        user = actions.confirm_email(user_id=user_id, token=token)
    except NotFoundError as refusal:
        return render(request, "feeds/confirm_email.html", {"why": refusal.message}, status=404)
    messages.success(request, _("%(email)s is confirmed.") % {"email": user.email})
    return redirect("feeds:settings" if request.user == user else "feeds:home")


@require_POST
@signed_in
def send_confirmation(request: UserRequest) -> HttpResponse:
    """`/settings/email`: send the letter once more."""
    if actions.request_confirmation(request.user, site=site_of(request)):
        messages.success(request, _("The link is on its way to %(email)s.") % {"email": request.user.email})
    return redirect("feeds:settings")
