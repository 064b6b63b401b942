"""Folding: the counts of processes whose rows go are added to one row, in the transaction that deletes theirs.

Each transaction locks that one row first. So two that fold the same process fold it once: the second one finds it gone.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.db.models import BooleanField, Case, F, Value, When
from django.db.models.functions import Now

from ..figures import Values, from_json, plus, to_json
from .models import FoldedCounts, Process
from .processes import ProcessQuerySet

if TYPE_CHECKING:
    from collections.abc import Iterator

#: So many processes that were found dead are remembered with what they had counted: one that was only silent learns
#: from it that its counts are in the sum.
REMEMBERED = 100


class ToldFigures:
    """What one row says: the counts that it adds to the sum, and of a process that is alive its kind and figures."""

    __slots__ = ("counts", "figures", "kind")

    def __init__(self, kind: str, figures: dict[str, Any], *, alive: bool) -> None:
        self.counts = from_json(figures.get("counts", {}))
        self.kind = kind if alive else ""
        self.figures = figures if alive else {}


def told_figures() -> Iterator[ToldFigures]:
    """What all processes say, and the folded counts. One statement, so that each count is in it exactly once."""
    is_alive = Case(
        When(beat_at__gt=Now() - ProcessQuerySet.SILENCE, then=Value(True)),
        default=Value(False),
        output_field=BooleanField(),
    )
    processes = Process.objects.order_by().values_list("kind", "figures", is_alive)
    folded = FoldedCounts.objects.order_by().values_list(Value(""), F("counts"), Value(False))
    for kind, figures, alive in processes.union(folded, all=True):
        yield ToldFigures(kind, figures if kind else {"counts": figures}, alive=bool(alive))


def fold_dead(dead: ProcessQuerySet) -> None:
    """Delete these rows and keep their counts, whichever of them are still there."""
    with transaction.atomic(using=router.db_for_write(Process)):
        earlier = _locked()
        rows = list(dead.select_for_update())
        for row in rows:
            counts = from_json(row.figures.get("counts", {}))
            earlier.counts = to_json(plus(from_json(earlier.counts), counts))
            earlier.folded[str(row.token)] = to_json(counts)
        if rows:
            earlier.folded = dict(list(earlier.folded.items())[-REMEMBERED:])
            earlier.save()
            Process.objects.filter(pk__in=[row.pk for row in rows]).delete()


def folded_of(token: uuid.UUID) -> Values | None:
    """What was folded of a process; None if nothing was."""
    for row in FoldedCounts.objects.all():
        if (told := row.folded.get(str(token))) is not None:
            return from_json(told)
    return None


def fold_own(token: uuid.UUID, counts: Values) -> None:
    """Delete the row of a process that ends in order, and keep what it has counted until now: `counts`, of which a part
    is folded already if it was taken for dead."""
    with transaction.atomic(using=router.db_for_write(Process)):
        earlier = _locked()
        before = from_json(earlier.folded.pop(str(token), {}))
        earlier.counts = to_json(plus(from_json(earlier.counts), plus(counts, before, sign=-1)))
        earlier.save()
        Process.objects.filter(token=token).delete()


def _locked() -> FoldedCounts:
    FoldedCounts.objects.get_or_create(key=1)
    return FoldedCounts.objects.select_for_update().get(key=1)
