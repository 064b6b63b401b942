"""Fill looks: store what the names look like that came before looks were stored, or by an older release."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from feeds.batch.chunks import each_chunk
from feeds.batch.progress import Advance
from feeds.models import Circle, CircleLook, User, UserLook
from feeds.models.looks import LookQuerySet


def fill_looks_of_users(*, jobs: int | None = None, after: int = 0, advance: Advance | None = None) -> list[str]:
    """Store the looks of the users with ids above `after`, in chunks, while the site runs.

    Returns the names of the users that look like another one: they keep working, and the other one has the look.

    jobs, advance and errors: as for `each_chunk`.
    """
    return _fill(User.objects.all(), UserLook.objects.all(), "username", jobs=jobs, after=after, advance=advance)


def fill_looks_of_circles(*, jobs: int | None = None) -> list[str]:
    """As `fill_looks_of_users`, of all circles. Returns slugs."""
    return _fill(Circle.objects.all(), CircleLook.objects.all(), "slug", jobs=jobs)


def _fill(rows: QuerySet[Any], looks: LookQuerySet, name: str, **chunks: Any) -> list[str]:
    def fill(ids: list[int]) -> list[str]:
        # Locked, so that nobody takes another name meanwhile.
        found = {row.pk: row for row in rows.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)}
        wanted = {pk: row.looks_wanted for pk, row in found.items()}
        looks.take(wanted)
        return [getattr(found[pk], name) for pk in looks.lacking(wanted)]

    return [alike for chunk in each_chunk(rows, fill, **chunks) for alike in chunk]
