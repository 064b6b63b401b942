"""Forms: what pages ask for. Whether a value can be taken the actions say; a form only carries it there and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _

from feeds.actions.circles import DESCRIPTION_LENGTH, NAME_LENGTH, SLUG_LENGTH
from feeds.errors import InvalidError
from feeds.models import Circle, Comment, Post, User
from feeds.text.usernames import MAX_LENGTH

T = TypeVar("T")


class ActionForm(forms.Form):
    """A form whose values go to an action; what that refuses stands beside the field, and the text stays."""

    def act(self, action: Callable[..., T], *args: Any, **more: Any) -> T | None:
        """What the action returned, or None with the errors in the form."""
        if not self.is_valid():
            return None
        try:
            return action(*args, **self.cleaned_data, **more)
        except InvalidError as refusal:
            self.add_error(refusal.field if refusal.field in self.fields else None, refusal.message)
            return None


def line(label: Any, most: int, **options: Any) -> forms.CharField:
    """A field of one line. The action strips it, so that its errors tell of what was typed."""
    attributes = {"maxlength": most, "autocomplete": "off"} | options.pop("attrs", {})
    return forms.CharField(label=label, strip=False, widget=forms.TextInput(attributes), **options)


def text(label: Any, most: int, *, rows: int, **options: Any) -> forms.CharField:
    """A field of many lines. A browser counts a line end as one character, so its length is left to the action."""
    return forms.CharField(
        label=label, strip=False, widget=forms.Textarea({"maxlength": most, "rows": rows}), **options
    )


MARKDOWN = _("Markdown: **bold**, *italic*, [link](https://…), > quote, `code`, @name.")


class PostForm(ActionForm):
    """A post."""

    title = line(_("Title"), Post.TITLE_LENGTH)
    body = text(_("Text"), Post.BODY_LENGTH, rows=12, required=False, help_text=MARKDOWN)
    circle = forms.ChoiceField(label=_("Circle"), required=False)

    def __init__(self, *args: Any, user: User, circle: Circle | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = Circle.objects.filter(memberships__user=user).order_by("name").values_list("slug", "name")
        choices = dict(own) | ({circle.slug: circle.name} if circle else {})
        self.fields["circle"].choices = [("", _("No circle")), *choices.items()]  # type: ignore[attr-defined]


class CommentForm(ActionForm):
    """A comment."""

    content = text(_("Your comment"), Comment.CONTENT_LENGTH, rows=4)


class ReplyForm(CommentForm):
    """An answer to a post or a comment."""

    parent_id = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)

    def set_parent(self, comment_id: int | None) -> None:
        """What the form answers when it is sent again; the text stays, whatever became of what it answered at first."""
        self.initial["parent_id"] = comment_id
        if self.is_bound:
            self.data = {**self.data.dict(), "parent_id": comment_id or ""}  # type: ignore[attr-defined]


class CircleForm(ActionForm):
    """A circle."""

    name = line(_("Name"), NAME_LENGTH)
    slug = line(
        _("Address"), SLUG_LENGTH, required=False, help_text=_("The end of /circles/…; left empty, made of the name.")
    )
    description = text(_("What it is about"), DESCRIPTION_LENGTH, rows=4, required=False)


class RegisterForm(ActionForm):
    """A new account."""

    username = line(
        _("Username"),
        MAX_LENGTH,
        help_text=_("Letters and digits of any script, “_” and “-”."),
        attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=_("At least 8 characters, nothing common."),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    email = forms.CharField(
        label=_("E-mail (may stay empty)"), required=False, widget=forms.EmailInput({"autocomplete": "email"})
    )


class LoginForm(AuthenticationForm):
    """Who signs in."""

    error_messages = {**AuthenticationForm.error_messages, "invalid_login": _("Wrong username or password.")}


class AccountForm(ActionForm):
    """Name and address of an account."""

    username = line(_("Username"), MAX_LENGTH, attrs={"autocomplete": "username", "spellcheck": "false"})
    email = forms.CharField(label=_("E-mail"), required=False, widget=forms.EmailInput({"autocomplete": "email"}))


class ConfirmedForm(ActionForm):
    """Something that only who knows the password may do."""

    current = forms.CharField(
        label=_("Present password"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean(self) -> dict[str, Any]:
        """The values without the password that only confirms them."""
        given = self.cleaned_data.pop("current", None)
        if given is not None and not self._user.check_password(given):
            self.add_error("current", _("This is not your password."))
        return self.cleaned_data


class PasswordForm(ConfirmedForm):
    """A new password."""

    password = forms.CharField(
        label=_("New password"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )


class TokenForm(ActionForm):
    """A new API token."""

    name = line(_("What is it for?"), 100)
