"""ReservedName: a username that nobody else may take, kept as a keyed hash only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from feeds.text.usernames import folded

if TYPE_CHECKING:
    from feeds.models.users import User


class ReservedNameQuerySet(models.QuerySet["ReservedName"]):
    """Reserved names."""

    def reserve(self, username: str, *, user: User) -> None:
        """Keep a name for the one who had it."""
        self.bulk_create([ReservedName(digest=digests(username)[0], user=user)], ignore_conflicts=True)

    def reserve_looks(self, looks: Mapping[str, int]) -> None:
        """Keep what names looked like, each for the one with this id, who had it."""
        self.bulk_create(
            [ReservedName(digest=digests_of_look(look)[0], user_id=user_id) for look, user_id in sorted(looks.items())],
            ignore_conflicts=True,
        )

    def of_name(self, *usernames: str) -> ReservedNameQuerySet:
        """The rows of these names."""
        return self.filter(digest__in=[digest for username in usernames for digest in digests(username)])

    def of_look(self, *looks: str) -> ReservedNameQuerySet:
        """The rows of these looks, and of the names that are such a look themselves: looks were not always kept."""
        named = [digest for look in looks for digest in digests(look)]
        return self.filter(digest__in=named + [digest for look in looks for digest in digests_of_look(look)])


class ReservedName(models.Model):
    """A name that a user has given up: by leaving, or by taking another one. Nobody else may take it, so that an old
    @name never leads to a stranger; who took another name may have it back.

    The looks of such a name have rows of their own, so that no name that looks like it is taken either.

    digest: HMAC-SHA256 of the case-folded name, or of a look, under SECRET_KEY. A name of SECRET_KEY_FALLBACKS counts
    as well; one of a key that is gone is free.
    """

    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="reserved_names", verbose_name=_("user")
    )
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    objects = ReservedNameQuerySet.as_manager()

    class Meta:
        verbose_name = _("reserved name")
        verbose_name_plural = _("reserved names")

    def __str__(self) -> str:
        return f"{self.digest[:8]}…"


def digests(username: str) -> list[str]:
    """The digests of a name, the current key's first."""
    return _digests("feeds.reserved_names", folded(username))


def digests_of_look(look: str) -> list[str]:
    """The digests of a look, the current key's first."""
    return _digests("feeds.reserved_looks", look)


def _digests(salt: str, value: str) -> list[str]:
    keys: list[Any] = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac(salt, value, secret=key, algorithm="sha256").hexdigest() for key in keys]
