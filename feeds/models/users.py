"""User: a person."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as AuthUserManager
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from feeds.models.row_by_row import RowByRow
from feeds.text.cleaning import is_text
from feeds.text.usernames import MAX_LENGTH, folded, normalized, validate_username

NAME_OF_THE_GONE = "deleted-"


class UserQuerySet(RowByRow["User"]):
    """People."""

    def named(self, *usernames: str) -> UserQuerySet:
        """Those with these names, regardless of case."""
        return self.filter(username_folded__in=[folded(username) for username in usernames if is_text(username)])

    def active(self) -> UserQuerySet:
        """Those who are neither banned nor gone."""
        return self.filter(is_active=True)


class UserManager(AuthUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> User:
        """Signing in disregards case."""
        user: User = self.named(username or "").get()
        return user


class User(EventSource, AbstractUser):
    """A person. Deleting one cuts name and ties; posts and comments stay under a name that tells nothing."""

    username = models.CharField(
        _("username"),
        max_length=MAX_LENGTH,
        unique=True,
        validators=[validate_username],
        help_text=_("Letters and digits of any script, “_” and “-”."),
    )
    username_folded = models.CharField(max_length=3 * MAX_LENGTH, unique=True, editable=False)
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    #: The key of the session in which the password is being changed: it goes on, under a new key.
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
        """Raises ValidationError when someone else has the name in another case, or it is kept for those who left."""
        super().clean()
        if type(self).objects.named(self.username).exclude(pk=self.pk).exists():
            raise ValidationError(
                {"username": ValidationError(_("This username is already taken. Choose another."), code="taken")}
            )
        if folded(self.username).startswith(NAME_OF_THE_GONE) and self.username != f"{NAME_OF_THE_GONE}{self.pk}":
            raise ValidationError({"username": _("This username is reserved for deleted accounts. Choose another.")})

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        self.username = normalized(self.username)
        self.username_folded = folded(self.username)
        if update_fields is not None and "username" in update_fields:
            update_fields = {*update_fields, "username_folded"}
        super().save(*args, update_fields=update_fields, **kwargs)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Forget the person: name, address, password, tokens, follows and memberships; what was written stays."""
        with transaction.atomic(using=using):
            for ties in (self.follows, self.followers, self.memberships, self.tokens, self.blocks, self.mutes):
                ties.all().delete()
            self.username, self.email, self.is_active = f"{NAME_OF_THE_GONE}{self.pk}", "", False
            self.is_staff = self.is_superuser = False
            self.set_unusable_password()
            self.save(using=using)
        return 1, {self._meta.label: 1}
