"""Follows: the edges of a graph. A → B is "A follows B", from before the first post."""

from __future__ import annotations

from collections.abc import Iterable

from feeds.models import Follow
from feeds.stackexchange.fields import SkippedRowError
from feeds.stackexchange.graph import Edge, Graph, is_edge
from feeds.stackexchange.report import Report
from feeds.stackexchange.step import Step
from feeds.stackexchange.survey import Survey


class Follows(Step[Edge]):
    """Each edge becomes a follow."""

    kind, label = "follow", "follows"

    def __init__(self, source: str, report: Report, *, graph: Graph, survey: Survey) -> None:
        super().__init__(source, report)
        self.graph, self.survey = graph, survey
        self.users: dict[str, int] = {}
        self.existing: dict[tuple[int, int], int] = {}

    def rows(self) -> Iterable[Edge]:
        return self.graph.edges(label="Follows")

    def key(self, row: Edge) -> str:
        if not is_edge(row):
            raise SkippedRowError("not two nodes")
        if row[0] == row[1]:
            raise SkippedRowError("follows itself")
        return f"{row[0]}>{row[1]}"

    def name(self, row: Edge) -> str:
        return " ".join(row)

    def look_up(self, rows: dict[str, Edge]) -> None:
        self.users = self.known("node", {node for edge in rows.values() for node in edge})
        followers, followees = ({self.users.get(edge[end]) for edge in rows.values()} for end in (0, 1))
        found = Follow.objects.filter(follower__in=followers - {None}, followee__in=followees - {None})
        self.existing = {
            (follower, followee): pk for follower, followee, pk in found.values_list("follower", "followee", "pk")
        }

    def build(self, row: Edge) -> Follow:
        pair = follower, followee = self.users.get(row[0]), self.users.get(row[1])
        if follower is None or followee is None:
            raise SkippedRowError("one of its users is missing")
        if pair in self.existing:
            return Follow(pk=self.existing[pair])
        return Follow(follower_id=follower, followee_id=followee, created_at=self.survey.before)
