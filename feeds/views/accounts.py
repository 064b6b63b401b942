"""Accounts: register, sign in, sign out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import login as sign_in
from django.contrib.auth import views as auth
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from feeds import actions, limits
from feeds.errors import NotAllowedError
from feeds.forms import LoginForm, RegisterForm
from feeds.models import User
from feeds.origins import site_of
from feeds.text.direction import isolated
from feeds.views.access import address_back, go_back
from feeds.views.posts import PAGE_METHODS
from feeds.views.second_step import to_second_step


@PAGE_METHODS
def register(request: HttpRequest) -> HttpResponse:
    """`/register`: open an account and sign in."""
    if request.user.is_authenticated:
        return go_back(request)
    form = RegisterForm(request.POST or None)
    if request.method == "POST":
        limits.spend(limits.REGISTRATIONS, limits.network_of(request))
        if user := form.act(actions.register, site=site_of(request)):
            sign_in(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
            messages.success(request, _("Welcome, %(name)s!") % {"name": isolated(user.username)})
            return go_back(request)
    context = {"form": form, "next": address_back(request, "")}
    return render(request, "feeds/register.html", context, status=422 if form.errors else 200)


class Login(auth.LoginView):
    """`/login`."""

    template_name = "feeds/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:  # type: ignore[override] # the stubs give it a parameter that Django has not
        """The path to go to after signing in, but not this page again."""
        wanted: str = super().get_redirect_url()
        return "" if urlsplit(wanted).path == self.request.path else wanted

    def form_valid(self, form: Any) -> HttpResponse:
        """Sign in, or ask for the code of the second factor first."""
        user: User = form.get_user()
        if actions.has_factor(user):
            return to_second_step(self.request, user, wanted=self.get_redirect_url())
        return super().form_valid(form)


def admin_login(request: HttpRequest) -> HttpResponse:
    """`/admin/login/`: the administration has no sign-in of its own, which would lead past limits and second factor."""
    if not request.user.is_authenticated:
        return redirect_to_login(address_back(request, reverse("admin:index")))
    if not admin.site.has_permission(request):
        raise NotAllowedError(_("This account has no access to the administration."))
    return go_back(request, reverse("admin:index"))


@admin.site.admin_view
def admin_password(request: HttpRequest) -> HttpResponse:
    """`/admin/password_change/`: the settings, since the administration's own form takes any number of guesses."""
    return redirect("feeds:settings")


class Logout(auth.LogoutView):
    """`/logout`."""

    http_method_names = ["post", "get", "head"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A GET only asks for confirmation: a link on another site must not sign a user out."""
        if not request.user.is_authenticated:
            return redirect("feeds:home")
        return render(request, "feeds/confirm.html", {"question": _("Sign out?"), "back": "/", "verb": _("Sign out")})
