"""Texts: questions become posts; answers become comments; comments become comments or replies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from feeds.models import Comment, Post
from feeds.stackexchange.dump import Dump, Row
from feeds.stackexchange.fields import (
    SkippedRowError,
    comment_author,
    moment,
    number,
    post_author,
    row_name,
    text,
    value,
)
from feeds.stackexchange.markup import to_markdown
from feeds.stackexchange.report import Report
from feeds.stackexchange.step import Step
from feeds.stackexchange.survey import ANSWER, QUESTION
from feeds.stackexchange.targets import ImportedTarget, find_imported_targets
from feeds.text.visible import shows_something


class TextStep(Step[Row]):
    """The common part of the three: the author, and the text it belongs to."""

    def __init__(self, source: str, report: Report, *, dump: Dump) -> None:
        super().__init__(source, report)
        self.dump = dump
        self.authors: dict[str, int] = {}
        self.targets: Mapping[str, ImportedTarget] = {}

    def key(self, row: Row) -> str:
        return number(row)

    def name(self, row: Row) -> str:
        return row_name(row)

    def times(self, row: Row) -> dict[str, dt.datetime]:
        """The dates of a text. One without a date of its edit that is possible counts as not edited."""
        created = edited = moment(row)
        if value(row, "LastEditDate"):
            try:
                edited = max(created, moment(row, "LastEditDate"))
            except SkippedRowError as wrong:
                self.tally.remark(f"count as not edited: {wrong.reason}", row=self.name(row))
        return {"created_at": created, "updated_at": edited}

    def author_of(self, author: str) -> int:
        """Our id of an author. Raises SkippedRowError."""
        try:
            return self.authors[author]
        except KeyError:
            raise SkippedRowError("its author is missing") from None

    def target_of(self, external_id: str) -> ImportedTarget:
        """The question or answer that a row belongs to. Raises SkippedRowError."""
        try:
            return self.targets[external_id]
        except KeyError:
            raise SkippedRowError("its post is missing") from None


class Questions(TextStep):
    """Questions become posts. A row that is neither question nor answer is counted here as skipped."""

    kind, label = "post", "posts"

    def rows(self) -> Iterator[Row]:
        return (row for row in self.dump.rows("Posts", label="Posts") if value(row, "PostTypeId") != ANSWER)

    def look_up(self, rows: dict[str, Row]) -> None:
        self.authors = self.known("user", _authors(rows, post_author))

    def build(self, row: Row) -> Post:
        if (post_type := value(row, "PostTypeId")) != QUESTION:
            raise SkippedRowError(f"PostTypeId {post_type or '(none)'}")
        author_id = self.author_of(post_author(row))
        title = " ".join(value(row, "Title").split())
        if not shows_something(title):
            raise SkippedRowError("no title")
        times = self.times(row)
        if len(title) > Post.TITLE_LENGTH:
            title = f"{title[: Post.TITLE_LENGTH - 1]}…"
            self.tally.remark(f"titles cut to {Post.TITLE_LENGTH} characters", row=self.name(row))
        body = to_markdown(text(row, "Body"))
        return Post(author_id=author_id, title=title, body=body, published_at=times["created_at"], **times)


class Answers(TextStep):
    """Answers become comments on posts."""

    kind, label = "answer", "answers"

    def rows(self) -> Iterator[Row]:
        return (row for row in self.dump.rows("Posts", label="Answers") if value(row, "PostTypeId") == ANSWER)

    def look_up(self, rows: dict[str, Row]) -> None:
        self.authors = self.known("user", _authors(rows, post_author))
        self.targets = find_imported_targets(self.source, (value(row, "ParentId") for row in rows.values()))

    def build(self, row: Row) -> Comment:
        author_id = self.author_of(post_author(row))
        post_id = self.target_of(value(row, "ParentId")).post_id
        return Comment(
            author_id=author_id, post_id=post_id, content=_content(to_markdown(text(row, "Body"))), **self.times(row)
        )


class Comments(TextStep):
    """Comments become comments on posts, or replies to the comments that were answers."""

    kind, label = "comment", "comments"

    def rows(self) -> Iterator[Row]:
        return self.dump.rows("Comments", label="Comments")

    def look_up(self, rows: dict[str, Row]) -> None:
        self.authors = self.known("user", _authors(rows, comment_author))
        self.targets = find_imported_targets(self.source, (value(row, "PostId") for row in rows.values()))

    def build(self, row: Row) -> Comment:
        author_id = self.author_of(comment_author(row))
        target = self.target_of(value(row, "PostId"))
        parent_id = target.entity_id if target.entity_type == "comment" else None
        # The text of a comment is a kind of Markdown already.
        content = _content(text(row, "Text"))
        return Comment(
            author_id=author_id, post_id=target.post_id, parent_id=parent_id, content=content, **self.times(row)
        )


def _authors(rows: Mapping[str, Row], who: Any) -> Iterable[str]:
    for row in rows.values():
        try:
            yield who(row)
        except SkippedRowError:
            continue  # `build` counts it as skipped


def _content(content: str) -> str:
    if not content:
        raise SkippedRowError("no text")
    return content
