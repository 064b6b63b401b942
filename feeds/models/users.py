"""User: a person, and the tokens, blocks and mutes that are theirs."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as AuthUserManager
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from feeds.models.row_by_row import RowByRow
from feeds.usernames import MAX_LENGTH, folded, normalized, validate_username


class UserQuerySet(RowByRow["User"]):
    """People."""

    def named(self, *usernames: str) -> UserQuerySet:
        """Those with these names, regardless of case."""
        return self.filter(username_folded__in=[folded(username) for username in usernames])

    def active(self) -> UserQuerySet:
        """Those who are neither banned nor gone."""
        return self.filter(is_active=True)


class UserManager(AuthUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> User:
        """Signing in disregards case."""
        return self.get(username_folded=folded(username or ""))


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
    first_name = None
    last_name = None
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    objects = UserManager()

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
        """Raises ValidationError when someone else has the name in another case."""
        super().clean()
        if type(self).objects.named(self.username).exclude(pk=self.pk).exists():
            raise ValidationError({"username": _("This name is taken.")})

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
            self.username, self.email, self.is_active = f"deleted-{self.pk}", "", False
            self.is_staff = self.is_superuser = False
            self.set_unusable_password()
            self.save(using=using)
        return 1, {self._meta.label: 1}


class ApiToken(models.Model):
    """A secret with which a program acts for a user; only its digest is kept."""

    user = models.ForeignKey(User, models.CASCADE, related_name="tokens", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def digest_of(secret: str) -> str:
        """What is stored of a secret."""
        return hashlib.sha256(secret.encode()).hexdigest()


class Block(models.Model):
    """`user` wants no comment, vote or follow from `target`, and not to see them."""

    user = models.ForeignKey(User, models.CASCADE, related_name="blocks", db_index=False, verbose_name=_("user"))
    target = models.ForeignKey(User, models.CASCADE, related_name="blocked_by", verbose_name=_("blocked"))
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        constraints = [models.UniqueConstraint(fields=["user", "target"], name="feeds_block_once")]

    def __str__(self) -> str:
        return f"{self.user_id} ⊘ {self.target_id}"


class Mute(models.Model):
    """`user` does not want to see `target`, who is not told and may do as before."""

    user = models.ForeignKey(User, models.CASCADE, related_name="mutes", db_index=False, verbose_name=_("user"))
    target = models.ForeignKey(User, models.CASCADE, related_name="muted_by", verbose_name=_("muted"))
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("mute")
        verbose_name_plural = _("mutes")
        constraints = [models.UniqueConstraint(fields=["user", "target"], name="feeds_mute_once")]

    def __str__(self) -> str:
        return f"{self.user_id} ∅ {self.target_id}"
