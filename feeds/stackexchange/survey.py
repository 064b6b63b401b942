"""Survey: what must be known of a whole dump before its first row goes in: counts only."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import nsmallest

from django.utils import timezone

from feeds.stackexchange.dump import Dump, Row
from feeds.stackexchange.fields import SkippedRowError, by_number, comment_author, moment, post_author, value
from feeds.stackexchange.graph import Graph

QUESTION, ANSWER = "1", "2"
DAY = dt.timedelta(days=1)


class Survey:
    """The authors of a dump, what they wrote and since when; the nodes of a graph, and which of them are authors."""

    def __init__(self, dump: Dump, graph: Graph | None) -> None:
        self.activity: Counter[str] = Counter()
        self.since: dict[str, dt.datetime] = {}
        self._note(post_author, _written(dump))
        self._note(comment_author, dump.rows("Comments", label="Authors of comments"))
        self.before = min(self.since.values(), default=timezone.now()) - DAY
        degrees = graph.in_degrees(label="Nodes of the graph") if graph else Counter()
        self.nodes = sorted(degrees, key=lambda node: (-degrees[node], by_number(node)))
        self.author_of = dict(zip(self.nodes, self._most_active(len(self.nodes)), strict=False))

    def _note(self, who: Callable[[Row], str], rows: Iterator[Row]) -> None:
        for row in rows:
            try:
                author, when = who(row), moment(row)
            except SkippedRowError:
                continue  # its own step counts it
            self.activity[author] += 1
            if author not in self.since or when < self.since[author]:
                self.since[author] = when

    def _most_active(self, most: int) -> list[str]:
        """The authors by activity, the most active first."""
        return nsmallest(most, self.activity, key=lambda author: (-self.activity[author], by_number(author)))


def _written(dump: Dump) -> Iterator[Row]:
    for row in dump.rows("Posts", label="Authors of posts"):
        if value(row, "PostTypeId") in {QUESTION, ANSWER}:
            yield row
