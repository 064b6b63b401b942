"""Settings: the user's account, password, tokens, blocks and mutes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.forms import AccountForm, ActionForm, LeavingForm, PasswordForm, TokenForm
from feeds.models import ApiToken, User
from feeds.origins import site_of
from feeds.views.access import UserRequest, signed_in
from feeds.views.once import once


@signed_in
def settings(request: UserRequest, *, secret: str = "", **forms: ActionForm) -> HttpResponse:
    """`/settings`: all forms on one page. forms: refused ones, with their errors. secret: a new token's, shown once."""
    user = request.user
    context: dict[str, Any] = {
        "account": AccountForm(request=request, initial={"username": user.username, "email": user.email}),
        "password": PasswordForm(request=request, prefix="password"),
        "token": TokenForm(prefix="token"),
        "leaving": LeavingForm(request=request, prefix="leaving"),
    }
    context |= forms | {
        "secret": secret,
        "sessions": user.sessions.alive().order_by("-last_seen_at", "-pk"),
        "session_key": request.session.session_key,
        "factor": actions.has_factor(user),
        "tokens": ApiToken.objects.of_user(user).order_by("-pk"),
        "blocked": User.objects.filter(blocked_by__user=user).order_by("username"),
        "muted": User.objects.filter(muted_by__user=user).order_by("username"),
    }
    return render(request, "feeds/settings.html", context, status=422 if any(f.errors for f in forms.values()) else 200)


@require_POST
@signed_in
def account(request: UserRequest) -> HttpResponse:
    """`/settings/account`: change name and e-mail address, with the current password."""
    form = AccountForm(request.POST, request=request)
    # A copy: a refused name must not appear in the head of the page.
    if form.act(actions.change_account, User.objects.get(pk=request.user.pk), site=site_of(request)) is None:
        return settings(request, account=form)
    messages.success(request, _("Account updated."))
    return redirect("feeds:settings")


@require_POST
@signed_in
def password(request: UserRequest) -> HttpResponse:
    """`/settings/password`: change the password. This session stays signed in; all others and all tokens end."""
    form = PasswordForm(request.POST, request=request, prefix="password")
    changed = form.act(actions.change_account, request.user)
    if changed is None:
        return settings(request, password=form)
    update_session_auth_hash(request, changed)
    messages.success(request, _("Password changed."))
    return redirect("feeds:settings")


@require_POST
@signed_in
def new_token(request: UserRequest) -> HttpResponse:
    """`/settings/tokens`: create an API token; its secret is shown once."""
    form = TokenForm(request.POST, prefix="token")
    done = once(request, form, actions.create_token, address=lambda made: reverse("feeds:settings") + "#tokens")
    if done is None:
        return settings(request, token=form)
    if done.made is None:
        messages.info(request, _("You have created this token already. Its secret was shown then, once."))
        return HttpResponseRedirect(done.address)
    return settings(request, secret=done.made[1])


@require_POST
@signed_in
def revoke_token(request: UserRequest, token_id: int) -> HttpResponse:
    """`/settings/tokens/{id}`: revoke a token."""
    actions.revoke_token(request.user, token_id=token_id)
    messages.success(request, _("Token revoked."))
    return redirect("feeds:settings")


@require_POST
@signed_in
def end_session(request: UserRequest, session_id: int) -> HttpResponse:
    """`/settings/sessions/{id}`: sign out of one session."""
    actions.end_session(request.user, session_id=session_id)
    messages.success(request, _("Signed out there."))
    return redirect("feeds:settings")


@require_POST
@signed_in
def end_other_sessions(request: UserRequest) -> HttpResponse:
    """`/settings/sessions`: sign out everywhere else."""
    actions.end_other_sessions(request.user, session_key=request.session.session_key)
    messages.success(request, _("Signed out everywhere else."))
    return redirect("feeds:settings")


@require_POST
@signed_in
def leave(request: UserRequest) -> HttpResponse:
    """`/settings/delete`: delete the account."""
    form = LeavingForm(request.POST, request=request, prefix="leaving")
    if not form.is_valid():
        return settings(request, leaving=form)
    actions.delete_account(request.user, erase_texts=form.cleaned_data["texts"] == "erase")
    logout(request)
    messages.success(request, _("Your account has been deleted."))
    return redirect("feeds:home")
