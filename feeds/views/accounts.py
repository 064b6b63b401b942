"""Accounts: register, sign in, sign out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login as sign_in
from django.contrib.auth import views as auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from feeds import actions, limits
from feeds.forms import LoginForm, RegisterForm
from feeds.views.access import address_back, go_back, spend
from feeds.views.posts import PAGE_METHODS


@PAGE_METHODS
def register(request: HttpRequest) -> HttpResponse:
    """`/register`: open an account and sign in."""
    if request.user.is_authenticated:
        return go_back(request)
    form = RegisterForm(request.POST or None)
    if request.method == "POST":
        spend(limits.REGISTER, limits.address(request))
        if user := form.act(actions.register):
            sign_in(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
            messages.success(request, _("Welcome, %(name)s!") % {"name": user.username})
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

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        spend(limits.LOGIN, limits.address(request))
        return super().post(request, *args, **kwargs)


class Logout(auth.LogoutView):
    """`/logout`."""

    http_method_names = ["post", "get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A GET only asks for confirmation: a link on another site must not sign a user out."""
        if not request.user.is_authenticated:
            return redirect("feeds:home")
        return render(request, "feeds/confirm.html", {"question": _("Sign out?"), "back": "/", "verb": _("Sign out")})
