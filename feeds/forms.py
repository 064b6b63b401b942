"""Forms: the input of pages. The actions decide whether a value is valid; a form passes values and errors on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _

from feeds.actions.circles import DESCRIPTION_LENGTH, NAME_LENGTH, SLUG_LENGTH
from feeds.errors import InvalidError
from feeds.models import Circle, Comment, Post, User
from feeds.text.usernames import MAX_USERNAME_LENGTH

T = TypeVar("T")


class ActionForm(forms.Form):
    """A form whose values are the arguments of an action. The error of the action is shown beside its field."""

    def act(self, action: Callable[..., T], *args: Any, **more: Any) -> T | None:
        """Call the action with `args`, the values and `more`. Returns its result; None if the form has errors."""
        if not self.is_valid():
            return None
        try:
            return action(*args, **self.cleaned_data, **more)
        except InvalidError as refusal:
            self.add_error(refusal.field if refusal.field in self.fields else None, refusal.message)
            return None


def line_field(label: Any, max_length: int, **options: Any) -> forms.CharField:
    """A field of one line. The form does not strip it; the action does, and checks its length."""
    attributes = {"maxlength": max_length, "autocomplete": "off"} | options.pop("attrs", {})
    return forms.CharField(label=label, strip=False, widget=forms.TextInput(attributes), **options)


def text_field(label: Any, max_length: int, *, rows: int, **options: Any) -> forms.CharField:
    """A field of many lines. Only the action checks its length: browsers and Django count line ends differently."""
    return forms.CharField(
        label=label, strip=False, widget=forms.Textarea({"maxlength": max_length, "rows": rows}), **options
    )


MARKDOWN = _("Markdown: **bold**, *italic*, [link](https://…), > quote, `code`, @name.")


class PostForm(ActionForm):
    """A post."""

    title = line_field(_("Title"), Post.TITLE_LENGTH)
    body = text_field(_("Text"), Post.BODY_LENGTH, rows=12, required=False, help_text=MARKDOWN)
    circle = forms.ChoiceField(label=_("Circle"), required=False)

    def __init__(self, *args: Any, user: User, circle: Circle | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = Circle.objects.filter(memberships__user=user).order_by("name").values_list("slug", "name")
        choices = dict(own) | ({circle.slug: circle.name} if circle else {})
        self.fields["circle"].choices = [("", _("No circle")), *choices.items()]  # type: ignore[attr-defined]


class CommentForm(ActionForm):
    """A comment."""

    content = text_field(_("Your comment"), Comment.CONTENT_LENGTH, rows=4)


class ReplyForm(CommentForm):
    """A comment on a post, or a reply to a comment."""

    parent_id = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)

    def set_parent(self, comment_id: int | None) -> None:
        """Make the form a reply to this comment, or to the post (None). Text that was sent before stays in the form."""
        self.initial["parent_id"] = comment_id
        if self.is_bound:
            self.data = {**self.data.dict(), "parent_id": comment_id or ""}  # type: ignore[attr-defined]


class CircleForm(ActionForm):
    """A circle."""

    name = line_field(_("Name"), NAME_LENGTH)
    slug = line_field(
        _("Address"),
        SLUG_LENGTH,
        required=False,
        help_text=_("The part after /circles/ in the link. Leave it empty to create it from the name."),
    )
    description = text_field(_("Description"), DESCRIPTION_LENGTH, rows=4, required=False)


class RegisterForm(ActionForm):
    """A new account."""

    username = line_field(
        _("Username"),
        MAX_USERNAME_LENGTH,
        help_text=_("Use letters and digits in any language, “_” and “-”."),
        attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=_("Use at least 8 characters, and not a common password."),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    email = forms.CharField(
        label=_("Email (optional)"), required=False, widget=forms.EmailInput({"autocomplete": "email"})
    )


class LoginForm(AuthenticationForm):
    """Username and password for signing in."""

    error_messages = {**AuthenticationForm.error_messages, "invalid_login": _("Wrong username or password.")}


class AccountForm(ActionForm):
    """Name and address of an account."""

    username = line_field(_("Username"), MAX_USERNAME_LENGTH, attrs={"autocomplete": "username", "spellcheck": "false"})
    email = forms.CharField(label=_("Email"), required=False, widget=forms.EmailInput({"autocomplete": "email"}))


class ConfirmedForm(ActionForm):
    """An action that needs the current password."""

    current = forms.CharField(
        label=_("Current password"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean(self) -> dict[str, Any]:
        """Check the current password and take it out of the values. Returns the values."""
        given = self.cleaned_data.pop("current", None)
        if given is not None and not self._user.check_password(given):
            self.add_error("current", _("Wrong password."))
        return self.cleaned_data


class PasswordForm(ConfirmedForm):
    """A new password."""

    password = forms.CharField(
        label=_("New password"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )


class TokenForm(ActionForm):
    """A new API token."""

    name = line_field(_("What is this token for?"), 100)
