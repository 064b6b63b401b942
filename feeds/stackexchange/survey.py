"""Survey: a first pass over the dump, for data that the import of the first row needs already."""

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
    """The authors of a dump, and the nodes of a graph.

    activity: number of texts by author. since: time of the first text by author. before: a day before the first text.
    nodes: by number of followers. author_of: the author that a node is matched with.
    """

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
                continue  # the step that imports the row counts it
            self.activity[author] += 1
            if author not in self.since or when < self.since[author]:
                self.since[author] = when

    def _most_active(self, most: int) -> list[str]:
        """The authors with the most texts, at most `most`, the most active first."""
        return nsmallest(most, self.activity, key=lambda author: (-self.activity[author], by_number(author)))


def _written(dump: Dump) -> Iterator[Row]:
    for row in dump.rows("Posts", label="Authors of posts"):
        if value(row, "PostTypeId") in {QUESTION, ANSWER}:
            yield row
