"""Factor: the page on which a person turns the second factor on and off."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from feeds import actions
from feeds.factor import qr, setup, totp
from feeds.forms import ActionForm, CodeForm, ConfirmedForm
from feeds.models import SecondFactor
from feeds.views.access import UserRequest, signed_in


@never_cache
@require_safe
@signed_in
def factor(request: UserRequest) -> HttpResponse:
    """`/settings/factor`: whether it is on, and the next step."""
    return _page(request)


@never_cache
@require_POST
@signed_in
def begin(request: UserRequest) -> HttpResponse:
    """`/settings/factor/begin`: show a new secret, with the current password."""
    form = _confirmed(request, prefix="begin")
    if not form.is_valid():
        return _page(request, begin=form)
    setup.begin(request.session)
    return redirect("feeds:factor")


@never_cache
@require_POST
@signed_in
def turn_on(request: UserRequest) -> HttpResponse:
    """`/settings/factor/on`: the first code of the app; shows the recovery codes, once."""
    secret, form = setup.begun(request.session), CodeForm(request.POST)
    if secret is None:
        messages.error(request, _("This took too long. Begin again."))
        return redirect("feeds:factor")
    codes = form.act(actions.turn_on_factor, request.user, secret=secret)
    if codes is None:
        return _page(request, code=form)
    setup.end(request.session)
    messages.success(request, _("Your second factor is on."))
    return _page(request, codes=codes)


@never_cache
@require_POST
@signed_in
def renew(request: UserRequest) -> HttpResponse:
    """`/settings/factor/codes`: new recovery codes, with the current password; shows them, once."""
    form = _confirmed(request, prefix="renew")
    if not form.is_valid():
        return _page(request, renew=form)
    return _page(request, codes=actions.renew_recovery_codes(request.user))


@require_POST
@signed_in
def turn_off(request: UserRequest) -> HttpResponse:
    """`/settings/factor/off`: with the current password."""
    form = _confirmed(request, prefix="off")
    if not form.is_valid():
        return _page(request, off=form)
    actions.turn_off_factor(request.user)
    messages.success(request, _("Your second factor is off."))
    return redirect("feeds:factor")


@require_POST
@signed_in
def cancel(request: UserRequest) -> HttpResponse:
    """`/settings/factor/cancel`: forget the secret that was shown."""
    setup.end(request.session)
    return redirect("feeds:factor")


def _confirmed(request: UserRequest, *, prefix: str) -> ConfirmedForm:
    return ConfirmedForm(request.POST, request=request, prefix=prefix)


def _page(request: UserRequest, *, codes: list[str] | None = None, **forms: ActionForm) -> HttpResponse:
    """The page. codes: recovery codes to be shown. forms: refused ones, with their errors."""
    factor = SecondFactor.objects.filter(user=request.user).first()
    context: dict[str, Any] = {"factor": factor, "codes": codes, "secret": None}
    context |= {name: ConfirmedForm(request=request, prefix=name) for name in ("begin", "renew", "off")}
    if factor is not None:
        context["left"] = factor.recovery_codes.count()
    elif (secret := setup.begun(request.session)) is not None:
        address = totp.address_of(secret, username=request.user.username)
        groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
        # The drawing is made of numbers alone.
        context |= {"secret": groups, "address": address, "drawing": mark_safe(qr.drawn(address)), "code": CodeForm()}
    if codes:
        context["file"] = "data:text/plain;charset=utf-8," + quote("\n".join(codes) + "\n")
    wrong = any(form.errors for form in forms.values())
    return render(request, "feeds/factor.html", context | forms, status=422 if wrong else 200)
