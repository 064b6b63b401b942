"""Profile: a user, and the relation of a viewer to that user."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Count, Exists, IntegerField, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from feeds.errors import NotFoundError
from feeds.lists.visibility import Viewer, user_or_none
from feeds.models import Block, Follow, Mute, User


def get_profile(username: str, *, viewer: Viewer = None) -> User:
    """A user with `follower_count following_count` and, for the viewer, `is_followed bell is_blocked is_muted`.

    Raises NotFoundError, also for a user who is banned or has left.
    """
    people = User.objects.active().named(username)
    people = people.annotate(follower_count=_count("followee"), following_count=_count("follower"))
    person: User | None = people.annotate(**_relation(user_or_none(viewer))).first()
    if person is None:
        raise NotFoundError(_("This user doesn't exist."))
    return person


def _count(side: str) -> Any:
    follows = Follow.objects.filter(**{side: OuterRef("pk")}).order_by().values(side)
    return Coalesce(Subquery(follows.annotate(count=Count("pk")).values("count")), 0, output_field=IntegerField())


def _relation(viewer: User | None) -> dict[str, Any]:
    if viewer is None:
        no = Value(False)
        return {"is_followed": no, "is_blocked": no, "is_muted": no, "bell": Value(None, BooleanField(null=True))}
    follows = Follow.objects.filter(follower=viewer, followee=OuterRef("pk"))
    return {
        "is_followed": Exists(follows),
        "bell": Subquery(follows.values("bell")),
        "is_blocked": Exists(Block.objects.filter(user=viewer, target=OuterRef("pk"))),
        "is_muted": Exists(Mute.objects.filter(user=viewer, target=OuterRef("pk"))),
    }
