"""User: a person with an account."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as AuthUserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from events.db import committed
from feeds.models.row_by_row import RowByRow
from feeds.text.cleaning import is_text
from feeds.text.usernames import MAX_USERNAME_LENGTH, folded, normalized_username, validate_username

#: The username of a deleted account is this and the user's id.
DELETED_NAME_PREFIX = "deleted-"


class UserQuerySet(RowByRow["User"]):
    """Users."""

    def named(self, *usernames: str) -> UserQuerySet:
        """The users with these names, regardless of case."""
        return self.filter(username_folded__in=[folded(username) for username in usernames if is_text(username)])

    def active(self) -> UserQuerySet:
        """The users who are neither banned nor deleted."""
        return self.filter(is_active=True)


class UserManager(AuthUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> User:
        """The user with this name, regardless of case; used for signing in. Raises User.DoesNotExist."""
        user: User = self.named(username or "").get()
        return user


class User(EventSource, AbstractUser):
    """A user. Deleting one removes name, follows and memberships; posts and comments stay, under a neutral name."""

    username = models.CharField(
        _("username"),
        max_length=MAX_USERNAME_LENGTH,
        unique=True,
        validators=[validate_username],
        help_text=_("Letters and digits of any script, “_” and “-”."),
    )
    username_folded = models.CharField(max_length=3 * MAX_USERNAME_LENGTH, unique=True, editable=False)
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    #: The key of the session in which the password is being changed: that session stays signed in. Not a column.
    renewed_session: str | None = None

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        return self.username

    def get_short_name(self) -> str:
        return self.username

    def clean(self) -> None:
        """Raises ValidationError for a name that another user has, in whatever case, or that is reserved."""
        super().clean()
        if type(self).objects.named(self.username).exclude(pk=self.pk).exists():
            raise ValidationError(
                {"username": ValidationError(_("This username is already taken. Choose another."), code="taken")}
            )
        if folded(self.username).startswith(DELETED_NAME_PREFIX) and self.username != f"{DELETED_NAME_PREFIX}{self.pk}":
            raise ValidationError({"username": _("This username is reserved for deleted accounts. Choose another.")})

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        self.username = normalized_username(self.username)
        self.username_folded = folded(self.username)
        if update_fields is not None and "username" in update_fields:
            update_fields = {*update_fields, "username_folded"}
        super().save(*args, update_fields=update_fields, **kwargs)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Remove name, e-mail, password, tokens, follows, memberships, blocks and mutes; texts and votes stay."""
        with committed(using=using):
            for rows in (self.follows, self.followers, self.memberships, self.tokens, self.blocks, self.mutes):
                rows.all().delete()
            self.username, self.email, self.is_active = f"{DELETED_NAME_PREFIX}{self.pk}", "", False
            self.is_staff = self.is_superuser = False
            self.set_unusable_password()
            self.save(using=using)
        return 1, {self._meta.label: 1}
