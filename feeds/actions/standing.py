"""Standing: whether a user may act, and towards whom. What is found stays true until the transaction ends.

A ban, or a block, that is under way at the same moment either comes first, and is seen here, or waits for the end of
this transaction, and then finds what it wrote. SQLite lets one transaction write at a time, so there it holds as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connections, router
from django.utils.translation import gettext as _

from feeds.errors import NotAllowedError
from feeds.models import Block, User


def require_active(user: User) -> None:
    """Raises NotAllowedError for a user who is banned or deleted. A ban waits until the transaction ends."""
    locked = User.objects.filter(pk=user.pk).select_for_update(no_key=True)
    if not locked.values_list("is_active", flat=True).first():
        raise NotAllowedError(_("This account has been deactivated."))


def refuse_blocked(user: User, *author_ids: int) -> None:
    """Raises NotAllowedError if there is a block, in either direction, between the user and one of these authors. A
    block waits until the transaction ends.
    """
    _hold([(user.pk, author_id) for author_id in author_ids], together=True)
    block = Block.objects.between(user, author_ids).first()
    if block is not None:
        own = block.user_id == user.pk
        raise NotAllowedError(
            _("You've blocked this person. Unblock them first.") if own else _("This person has blocked you.")
        )


def hold_alone(user: User, target: User) -> None:
    """Wait for what the two do towards each other, and let nothing new begin until the transaction ends."""
    _hold([(user.pk, target.pk)], together=False)


def _hold(pairs: Iterable[tuple[int, int]], *, together: bool) -> None:
    """Lock pairs of users, in one order. together: several transactions may hold the same pair."""
    connection = connections[router.db_for_write(Block)]
    if connection.vendor != "postgresql":
        return
    names = sorted({f"{Block._meta.db_table}/{min(pair)}/{max(pair)}" for pair in pairs})
    lock = "pg_advisory_xact_lock_shared" if together else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(hashtextextended(name, 0)) FROM unnest(%s::text[]) AS name", [names])
