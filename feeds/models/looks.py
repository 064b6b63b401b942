"""Looks: what the names of users and circles look like. No two users have a look in common, and no two circles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from events.db import committed
from feeds.models.reserved_names import ReservedName
from feeds.text.looks import MOST_GROWTH

#: Characters of the longest name that has a look: the slug of a circle.
LONGEST_NAME = 50


class LookQuerySet(models.QuerySet[Any]):
    """Looks of users, or of circles."""

    def take(self, wanted: Mapping[int, set[str]]) -> None:
        """Give each holder, by its id, these looks in place of its earlier ones.

        A look that another one has stays with that one. Of two transactions that take one look, the second waits for
        the first. Nothing is written where nothing changes.
        """
        self._for_write = True  # not in a replica
        with committed(using=self.db):
            held: dict[int, set[str]] = defaultdict(set)
            for row in self.filter(holder__in=wanted):
                held[row.holder_id].add(row.look)
            given_up = {look: pk for pk, looks in wanted.items() for look in held[pk] - looks}
            if given_up:
                self._give_up(given_up)
            missing = sorted((look, pk) for pk, looks in wanted.items() for look in looks - held[pk])
            self.bulk_create([self.model(look=look, holder_id=pk) for look, pk in missing], ignore_conflicts=True)

    def _give_up(self, looks: Mapping[str, int]) -> None:
        self.filter(look__in=looks).delete()

    def lacking(self, wanted: Mapping[int, set[str]]) -> list[int]:
        """The ids of the holders that have not all of these looks, since another one has them."""
        self._for_write = True
        held = set(self.filter(holder__in=wanted).values_list("holder", "look"))
        return [pk for pk, looks in wanted.items() if any((pk, look) not in held for look in looks)]


class UserLookQuerySet(LookQuerySet):
    """Looks of users. One that is given up stays reserved for the one who had it."""

    def _give_up(self, looks: Mapping[str, int]) -> None:
        ReservedName.objects.reserve_looks(looks)
        super()._give_up(looks)


class Look(models.Model):
    """A name of a user or circle looks like this: `feeds.text.looks`. A name that was there before this table, or came
    by an older release, may have none, since an earlier one has it: such names keep working."""

    look = models.CharField(_("look"), max_length=MOST_GROWTH * LONGEST_NAME, unique=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.look


class UserLook(Look):
    """What the name of a user looks like."""

    holder = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="looks", verbose_name=_("user"))

    objects = UserLookQuerySet.as_manager()

    class Meta:
        verbose_name = _("look of a user")
        verbose_name_plural = _("looks of users")


class CircleLook(Look):
    """What the slug of a circle looks like."""

    holder = models.ForeignKey("feeds.Circle", models.CASCADE, related_name="looks", verbose_name=_("circle"))

    objects = LookQuerySet.as_manager()

    class Meta:
        verbose_name = _("look of a circle")
        verbose_name_plural = _("looks of circles")
