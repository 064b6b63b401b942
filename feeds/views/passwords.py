"""Passwords: the way back for who has forgotten theirs, by Django's own views."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import views as auth
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _

from feeds import actions, limits
from feeds.forms import ForgottenPasswordForm, NewPasswordForm
from feeds.mail.tokens import password_tokens
from feeds.origins import site_of

#: Where Django keeps the token while the form is shown, so that no address holds it.
TOKEN_IN_SESSION = auth.INTERNAL_RESET_SESSION_TOKEN


class ForgottenPassword(auth.PasswordResetView):
    """`/password/forgotten`: asks for an address, and sends a link to its accounts."""

    template_name = "feeds/forgotten_password.html"
    form_class = ForgottenPasswordForm  # type: ignore[assignment] # any form with an email
    success_url = reverse_lazy("feeds:letter_sent")

    def form_valid(self, form: Any) -> HttpResponse:
        """The answer is the same whether the address is known or not; so is the limit on it."""
        email = form.cleaned_data["email"]
        limits.spend(limits.LETTERS, limits.mailbox(email))
        actions.request_password_reset(email=email, site=site_of(self.request))
        return super(auth.PasswordResetView, self).form_valid(form)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        limits.spend(limits.FORGOTTEN, limits.network_of(request))
        return super().post(request, *args, **kwargs)


class LetterSent(auth.PasswordResetDoneView):
    """`/password/forgotten/sent`."""

    template_name = "feeds/letter_sent.html"


class NewPassword(auth.PasswordResetConfirmView):
    """`/password/new/{user}/{token}`: the link of the letter leads here."""

    template_name = "feeds/new_password.html"
    form_class = NewPasswordForm  # type: ignore[assignment] # the action checks and saves
    token_generator = password_tokens
    success_url = reverse_lazy("feeds:login")

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs = super().get_form_kwargs()
        kwargs.pop("user")
        return kwargs

    def get_user(self, uidb64: str) -> Any:
        """The user of the link; None if they are banned meanwhile."""
        user = super().get_user(uidb64)
        return user if user is not None and user.is_active else None

    def form_valid(self, form: Any) -> HttpResponse:
        """Set the password. Who comes by a letter still signs in, with the second factor if there is one."""
        if form.act(actions.reset_password, self.user) is None:
            return self.form_invalid(form)
        del self.request.session[TOKEN_IN_SESSION]
        messages.success(self.request, _("Password changed. Sign in with the new one."))
        return super(auth.PasswordResetConfirmView, self).form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)
