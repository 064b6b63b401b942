"""Votes: a dump does not name the voters, so they are drawn from the users, always the same for the same vote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b

from feeds.models import ImportedRow, Vote
from feeds.stackexchange.dump import Dump, Row
from feeds.stackexchange.fields import SkippedRowError, by_number, moment, number, row_name, value
from feeds.stackexchange.report import Report
from feeds.stackexchange.step import Step
from feeds.stackexchange.targets import ImportedTarget, find_imported_targets

#: Our vote types by VoteTypeId.
VOTE_TYPES = {"2": Vote.Type.UP, "3": Vote.Type.DOWN}


class Votes(Step[Row]):
    """Up and down votes; other types are skipped."""

    kind, label = "vote", "votes"

    def __init__(self, source: str, report: Report, *, dump: Dump) -> None:
        super().__init__(source, report)
        self.dump = dump
        self.candidates: Sequence[int] = ()
        self.targets: Mapping[str, ImportedTarget] = {}
        self.voted: dict[ImportedTarget, set[int]] = {}

    def rows(self) -> Iterator[Row]:
        self.candidates = candidates(self.source)
        return self.dump.rows("Votes", label="Votes")

    def key(self, row: Row) -> str:
        return number(row)

    def name(self, row: Row) -> str:
        return row_name(row)

    def look_up(self, rows: dict[str, Row]) -> None:
        self.targets = find_imported_targets(self.source, (value(row, "PostId") for row in rows.values()))
        # Nobody votes twice on the same text, nor on their own.
        self.voted = {target: {target.author_id} for target in self.targets.values()}
        by_entity = {(target.entity_type, target.entity_id): target for target in self.targets.values()}
        ids: dict[str, list[int]] = defaultdict(list)
        for entity_type, entity_id in by_entity:
            ids[entity_type].append(entity_id)
        for entity_type, entity_ids in ids.items():
            votes = Vote.objects.filter(entity_type=entity_type, entity_id__in=entity_ids)
            for entity_id, user_id in votes.values_list("entity_id", "user_id"):
                self.voted[by_entity[entity_type, entity_id]].add(user_id)

    def build(self, row: Row) -> Vote:
        if (vote_type := value(row, "VoteTypeId")) not in VOTE_TYPES:
            raise SkippedRowError(f"VoteTypeId {vote_type or '(none)'}")
        target = self.targets.get(value(row, "PostId"))
        if target is None:
            raise SkippedRowError("its post is missing")
        created = moment(row)
        voter = draw(number(row), self.candidates, without=self.voted[target])
        if voter is None:
            raise SkippedRowError("no voter left")
        self.voted[target].add(voter)
        return Vote(
            user_id=voter,
            entity_type=target.entity_type,
            entity_id=target.entity_id,
            vote_type=VOTE_TYPES[vote_type],
            created_at=created,
            updated_at=created,
        )


def candidates(source: str) -> list[int]:
    """The ids of the users to draw from: those of the graph, else the authors; ordered by their ids in the source."""
    imported = ImportedRow.objects.filter(source=source)
    for kind in ("node", "user"):
        if found := list(imported.filter(kind=kind).values_list("external_id", "object_id")):
            return [user_id for _, user_id in sorted(found, key=lambda pair: by_number(pair[0]))]
    return []


def draw(vote_id: str, candidates: Sequence[int], *, without: Collection[int]) -> int | None:
    """The user who cast a vote: the candidate at a hash of its id or, if that one is in `without`, the next one.

    None if there is none left.
    """
    if not candidates:
        return None
    start = int.from_bytes(blake2b(vote_id.encode(), digest_size=8).digest()) % len(candidates)
    for index in range(start, start + len(candidates)):
        if (user_id := candidates[index % len(candidates)]) not in without:
            return user_id
    return None
