"""People: the users and authors of a dump, and the nodes of a graph."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.contrib.auth.hashers import make_password
from django.db import models
from rich.progress import Progress

from feeds.models import ImportedRow, User
from feeds.stackexchange.dump import Dump
from feeds.stackexchange.fields import SkippedRowError, by_number, moment, number, row_name, value
from feeds.stackexchange.report import Report
from feeds.stackexchange.step import Step
from feeds.stackexchange.survey import Survey
from feeds.stackexchange.usernames import display_name, free_usernames, username_of
from feeds.text.usernames import folded


class Person(NamedTuple):
    """A user to create."""

    external_id: str
    name: str
    joined: dt.datetime


class Authors(Step[Person]):
    """The users of the table Users, and all authors who are not in it."""

    kind, label = "user", "users"

    def __init__(self, source: str, report: Report, *, dump: Dump, survey: Survey, progress: Progress) -> None:
        super().__init__(source, report)
        self.dump, self.survey, self.progress = dump, survey, progress
        self.usernames: dict[str, str] = {}

    def rows(self) -> Iterator[Person]:
        found: set[str] = set()
        if self.dump.has("Users"):
            for row in self.dump.rows("Users", label="Users"):
                try:
                    person = Person(number(row), value(row, "DisplayName"), moment(row))
                except SkippedRowError as skip:
                    self.tally.read += 1
                    self.tally.skip(skip.reason, row=row_name(row))
                    continue
                if person.external_id in self.survey.since:
                    found.add(person.external_id)
                yield person
        others = sorted(self.survey.since.keys() - found, key=by_number)
        for author in self.progress.track(others, description="Authors"):
            yield Person(author, display_name(author), self.survey.since[author])

    def key(self, row: Person) -> str:
        return row.external_id

    def name(self, row: Person) -> str:
        return row.external_id

    def look_up(self, rows: dict[str, Person]) -> None:
        self.usernames = free_usernames(
            {key: username_of(person.name, external_id=key) for key, person in rows.items()}
        )

    def build(self, row: Person) -> User:
        return new_user(self.usernames[row.external_id], joined=row.joined)


class Nodes(Step[str]):
    """The nodes of the graph. The node with the most followers is matched with the most active author, and so on.

    A node without an author becomes a new user.
    """

    kind, label = "node", "users of the graph"

    def __init__(self, source: str, report: Report, *, survey: Survey, progress: Progress) -> None:
        super().__init__(source, report)
        self.survey, self.progress = survey, progress
        self.authors: dict[str, int] = {}
        self.usernames: dict[str, str] = {}

    def rows(self) -> Iterable[str]:
        return self.progress.track(self.survey.nodes, description="Users of the graph")

    def key(self, row: str) -> str:
        return row

    def look_up(self, rows: dict[str, str]) -> None:
        pairs = {node: author for node in rows if (author := self.survey.author_of.get(node))}
        users = self.known("user", pairs.values())
        # A graph imported before may have matched the author with another node.
        merged = ImportedRow.objects.filter(source=self.source, kind=self.kind, object_id__in=users.values())
        taken = set(merged.values_list("object_id", flat=True))
        self.authors = {
            node: users[author] for node, author in pairs.items() if author in users and users[author] not in taken
        }
        own = {node: username_of(f"wiki-{node}", external_id=node) for node in rows if node not in self.authors}
        self.usernames = free_usernames(own)

    def build(self, row: str) -> models.Model:
        if row in self.authors:
            self.tally.remark("are authors", row=row)
            return User(pk=self.authors[row])
        return new_user(self.usernames[row], joined=self.survey.before)


def new_user(username: str, *, joined: dt.datetime) -> User:
    """A user who cannot sign in. They count as seen now, so that fan-out fills their feed."""
    return User(username=username, username_folded=folded(username), date_joined=joined, password=make_password(None))
