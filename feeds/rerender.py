"""Rerender: make anew what is stored beside the texts, where it is missing, of another text, or of an older parser."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from feeds.batch.chunks import each_chunk
from feeds.batch.position import START, Position, each_table
from feeds.batch.progress import Advance
from feeds.models import Writing
from feeds.text.markdown import VERSION
from feeds.text.parsed import digest_of, parsed


def rerender(*, jobs: int | None = None, after: Position = START, advance: Advance | None = None) -> int:
    """Bring what is made of all posts and comments after a place up to date, in chunks, while the site runs.

    Returns the number of texts for which this was done. The posts and comments stay as they are; no event is emitted.

    jobs, advance and errors: as for `each_chunk`; a StoppedEarlyError carries the numbers of the chunks done so far.
    """

    def one_table(entity_type: str, rows: QuerySet[Any], first: int) -> list[int]:
        return each_chunk(rows, lambda ids: _rerender(rows, ids), jobs=jobs, after=first, advance=advance)

    return sum(each_table(one_table, after=after))


def _rerender(rows: QuerySet[Writing], ids: list[int]) -> int:
    """A text that is written meanwhile is stored by its writer: of the two the later one stores the newer text."""
    model = rows.model
    stored = dict(model.stored_text.objects.filter(pk__in=ids, version=VERSION).values_list("pk", "digest"))
    sources = rows.filter(pk__in=ids).order_by("pk").values_list("pk", model.text_field)
    stale = {id: source for id, source in sources if stored.get(id) != digest_of(source)}
    for source in stale.values():
        parsed(source)  # remembered, so that the rows are locked for a short time only
    locked = dict(sources.filter(pk__in=stale).select_for_update(no_key=True))
    model.stored_text.objects.store(locked)
    return len(locked)
