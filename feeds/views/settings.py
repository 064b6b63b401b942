"""Settings: the user's account, password, tokens, blocks and mutes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from feeds import actions
from feeds.forms import AccountForm, ActionForm, ConfirmedForm, PasswordForm, TokenForm
from feeds.models import User
from feeds.views.access import UserRequest, signed_in


@signed_in
def settings(request: UserRequest, *, secret: str = "", **forms: ActionForm) -> HttpResponse:
    """`/settings`: all forms on one page. forms: refused ones, with their errors. secret: a new token's, shown once."""
    user = request.user
    context: dict[str, Any] = {
        "account": AccountForm(initial={"username": user.username, "email": user.email}),
        "password": PasswordForm(user=user, prefix="password"),
        "token": TokenForm(prefix="token"),
        "leaving": ConfirmedForm(user=user, prefix="leaving"),
    }
    context |= forms | {
        "secret": secret,
        "tokens": user.tokens.order_by("-pk"),
        "blocked": User.objects.filter(blocked_by__user=user).order_by("username"),
        "muted": User.objects.filter(muted_by__user=user).order_by("username"),
    }
    return render(request, "feeds/settings.html", context, status=422 if any(f.errors for f in forms.values()) else 200)


@require_POST
@signed_in
def account(request: UserRequest) -> HttpResponse:
    """`/settings/account`: change name and e-mail address."""
    form = AccountForm(request.POST)
    # A copy: a refused name must not appear in the head of the page.
    if form.act(actions.change_account, User.objects.get(pk=request.user.pk)) is None:
        return settings(request, account=form)
    messages.success(request, _("Account updated."))
    return redirect("feeds:settings")


@require_POST
@signed_in
def password(request: UserRequest) -> HttpResponse:
    """`/settings/password`: change the password. This session stays signed in, all others end."""
    form = PasswordForm(request.POST, user=request.user, prefix="password")
    request.user.renewed_session = request.session.session_key
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
    made = form.act(actions.create_token, request.user)
    return settings(request, token=form) if made is None else settings(request, secret=made[1])


@require_POST
@signed_in
def revoke_token(request: UserRequest, token_id: int) -> HttpResponse:
    """`/settings/tokens/{id}`: revoke a token."""
    actions.revoke_token(request.user, token_id=token_id)
    messages.success(request, _("Token revoked."))
    return redirect("feeds:settings")


@require_POST
@signed_in
def leave(request: UserRequest) -> HttpResponse:
    """`/settings/delete`: delete the account."""
    form = ConfirmedForm(request.POST, user=request.user, prefix="leaving")
    if not form.is_valid():
        return settings(request, leaving=form)
    actions.delete_account(request.user)
    logout(request)
    messages.success(request, _("Your account has been deleted."))
    return redirect("feeds:home")
