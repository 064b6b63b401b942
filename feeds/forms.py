"""Forms: the input of pages. The actions decide whether a value is valid; a form passes values and errors on."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar, cast

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from feeds.actions.confirmation import confirm_password
from feeds.errors import InvalidError
from feeds.models import Circle, Comment, Post, Scope, User
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


#: The keys of forms that were shown with the question of `OnceForm.ask` begin with it.
ASKED = "again/"


def new_key() -> str:
    """A one-time key for a form."""
    return secrets.token_urlsafe(18)


class OnceForm(ActionForm):
    """A form that makes something. `key` is new in each form that is shown, so that this form makes one thing only.

    A form without a key, of a page from before there were keys or of a program, makes something each time.
    """

    key = forms.CharField(required=False, widget=forms.HiddenInput, initial=new_key)
    #: The values that belong to the key: one page may show copies of one form, each for something else.
    key_fields: tuple[str, ...] = ()

    def key_for(self, path: str) -> str:
        """The key of this form at this address; empty without one. Call it after `is_valid`."""
        if not (key := self.data.get(self.add_prefix("key"))):
            return ""
        return "\n".join([path, *(str(self.cleaned_data[name]) for name in self.key_fields), key])

    def clean(self) -> dict[str, Any]:
        """The values without the key."""
        self.cleaned_data.pop("key", None)
        return self.cleaned_data

    def ask(self, address: str) -> None:
        """Ask whether to send it a second time, and give it a new key. address: of what was made the first time."""
        question = gettext("You have sent this form already: {link}. Send this as a second one?")
        self.add_error(None, format_html(question, link=format_html('<a href="{0}">{0}</a>', address)))
        self.put("key", f"{ASKED}{new_key()}")

    @property
    def was_asked(self) -> bool:
        """Whether this form was shown with the question of `ask`."""
        return str(self.data.get(self.add_prefix("key"), "")).startswith(ASKED)

    def put(self, field: str, value: object) -> None:
        """Show another value in a field than the one that was sent."""
        data: Any = copy(self.data)
        data[self.add_prefix(field)] = value
        self.data = data


def line_field(label: Any, max_length: int, **options: Any) -> forms.CharField:
    """A field of one line. The form does not strip it; the action does, and checks its length."""
    attributes = {"maxlength": max_length, "autocomplete": "off", "dir": "auto"} | options.pop("attrs", {})
    return forms.CharField(label=label, strip=False, widget=forms.TextInput(attributes), **options)


def text_field(label: Any, max_length: int, *, rows: int, **options: Any) -> forms.CharField:
    """A field of many lines. Only the action checks its length: browsers and Django count line ends differently."""
    return forms.CharField(
        label=label,
        strip=False,
        widget=forms.Textarea({"maxlength": max_length, "rows": rows, "dir": "auto"}),
        **options,
    )


MARKDOWN = _("Markdown: **bold**, *italic*, [link](https://…), > quote, `code`, @name.")


class PostForm(OnceForm):
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


class ReplyForm(CommentForm, OnceForm):
    """A comment on a post, or a reply to a comment."""

    key_fields = ("parent_id",)

    parent_id = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)

    def set_parent(self, comment_id: int | None) -> None:
        """Make the form a reply to this comment, or to the post (None). Text that was sent before stays in the form."""
        self.initial["parent_id"] = comment_id
        if self.is_bound:
            self.put("parent_id", comment_id or "")


class CircleForm(OnceForm):
    """A circle."""

    name = line_field(_("Name"), Circle.NAME_LENGTH)
    slug = line_field(
        _("Address"),
        Circle.SLUG_LENGTH,
        required=False,
        help_text=_("The part after /circles/ in the link. Leave it empty to create it from the name."),
    )
    description = text_field(_("Description"), Circle.DESCRIPTION_LENGTH, rows=4, required=False)


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


class CodeForm(ActionForm):
    """A code of the second factor."""

    code = line_field(
        _("Code"),
        100,
        attrs={
            "autocomplete": "one-time-code",
            "autocapitalize": "characters",
            "spellcheck": "false",
            "autofocus": True,
        },
    )


class ForgottenPasswordForm(forms.Form):
    """The address to which a link to a new password goes."""

    email = forms.EmailField(
        label=_("Email"), max_length=254, widget=forms.EmailInput({"autocomplete": "email", "autofocus": True})
    )


class NewPasswordForm(ActionForm):
    """A new password, for who came by a link."""

    password = forms.CharField(
        label=_("New password"),
        strip=False,
        help_text=_("Use at least 8 characters, and not a common password."),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )


class ConfirmedForm(ActionForm):
    """An action that needs the current password of the user who asks."""

    current = forms.CharField(
        label=_("Current password"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean(self) -> dict[str, Any]:
        """Check the current password and take it out of the values. Returns the values. Raises TooOftenError."""
        given = self.cleaned_data.pop("current", None)
        if given is not None:
            try:
                confirm_password(self._request, cast(User, self._request.user), given, field="current")
            except InvalidError as refusal:
                self.add_error("current", refusal.message)
        return self.cleaned_data


class LeavingForm(ConfirmedForm):
    """Deleting the account, and what becomes of the texts."""

    texts = forms.ChoiceField(
        label=_("Your posts and comments"),
        choices=[("keep", _("Keep them, without my name")), ("erase", _("Erase them"))],
        initial="keep",
        required=False,
    )
    field_order = ("texts", "current")

    def clean_texts(self) -> str:
        return self.cleaned_data["texts"] or "keep"


class AccountForm(ConfirmedForm):
    """Name and address of an account."""

    field_order = ["username", "email", "current"]

    username = line_field(_("Username"), MAX_USERNAME_LENGTH, attrs={"autocomplete": "username", "spellcheck": "false"})
    email = forms.CharField(label=_("Email"), required=False, widget=forms.EmailInput({"autocomplete": "email"}))


class PasswordForm(ConfirmedForm):
    """A new password."""

    password = forms.CharField(
        label=_("New password"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )


class TokenForm(OnceForm):
    """A new API token."""

    #: Days after which a token expires; 0 for never.
    LIVES = ((30, _("in 30 days")), (90, _("in 90 days")), (365, _("in a year")), (0, _("never")))

    name = line_field(_("What is this token for?"), 100)
    scopes = forms.MultipleChoiceField(
        label=_("What may it do?"),
        choices=[(Scope.READ, _("Read what you can read")), (Scope.WRITE, _("Write, vote and follow in your name"))],
        initial=[Scope.READ],
        widget=forms.CheckboxSelectMultiple,
    )
    expires = forms.TypedChoiceField(label=_("When does it expire?"), choices=LIVES, coerce=int, initial=90)

    def clean_expires(self) -> dt.datetime | None:
        """The time; None for never."""
        days: int = self.cleaned_data["expires"]
        return timezone.now() + dt.timedelta(days=days) if days else None
