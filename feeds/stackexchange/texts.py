"""Writings: questions become posts, answers their comments, comments either's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from feeds.models import Comment, Post
from feeds.stackexchange.dump import Dump, Row
from feeds.stackexchange.fields import SkippedRowError, comment_author, moment, number, post_author, text, value
from feeds.stackexchange.markup import to_markdown
from feeds.stackexchange.report import Report
from feeds.stackexchange.step import Step
from feeds.stackexchange.survey import ANSWER, QUESTION
from feeds.stackexchange.targets import Target, targets


class Writings(Step[Row]):
    """What the three have in common: someone wrote them."""

    def __init__(self, source: str, report: Report, *, dump: Dump) -> None:
        super().__init__(source, report)
        self.dump = dump
        self.authors: dict[str, int] = {}
        self.targets: Mapping[str, Target] = {}

    def key(self, row: Row) -> str:
        return number(row)

    def author_of(self, author: str) -> int:
        """The user who wrote it. Raises SkippedRowError."""
        try:
            return self.authors[author]
        except KeyError:
            raise SkippedRowError("its author is not there") from None

    def target_of(self, external_id: str) -> Target:
        """What it is about. Raises SkippedRowError."""
        try:
            return self.targets[external_id]
        except KeyError:
            raise SkippedRowError("what it belongs to is not there") from None


class Questions(Writings):
    """Posts; whatever is neither question nor answer is counted here."""

    kind, label = "post", "posts"

    def rows(self) -> Iterator[Row]:
        return (row for row in self.dump.rows("Posts", label="Posts") if value(row, "PostTypeId") != ANSWER)

    def look_up(self, rows: dict[str, Row]) -> None:
        self.authors = self.known("user", _authors(rows, post_author))

    def build(self, row: Row) -> Post:
        if (post_type := value(row, "PostTypeId")) != QUESTION:
            raise SkippedRowError(f"of PostTypeId {post_type or '(none)'}")
        author_id = self.author_of(post_author(row))
        title = " ".join(value(row, "Title").split())
        if not title:
            raise SkippedRowError("no title")
        times = _times(row)
        if len(title) > Post.TITLE_LENGTH:
            title = f"{title[: Post.TITLE_LENGTH - 1]}…"
            self.tally.remarks[f"titles cut to {Post.TITLE_LENGTH} characters"] += 1
        body = to_markdown(text(row, "Body"))
        return Post(author_id=author_id, title=title, body=body, published_at=times["created_at"], **times)


class Answers(Writings):
    """Comments of posts."""

    kind, label = "answer", "answers"

    def rows(self) -> Iterator[Row]:
        return (row for row in self.dump.rows("Posts", label="Answers") if value(row, "PostTypeId") == ANSWER)

    def look_up(self, rows: dict[str, Row]) -> None:
        self.authors = self.known("user", _authors(rows, post_author))
        self.targets = targets(self.source, (value(row, "ParentId") for row in rows.values()))

    def build(self, row: Row) -> Comment:
        author_id = self.author_of(post_author(row))
        post_id = self.target_of(value(row, "ParentId")).post_id
        return Comment(
            author_id=author_id, post_id=post_id, content=_content(to_markdown(text(row, "Body"))), **_times(row)
        )


class Comments(Writings):
    """Comments of posts, or answers to the comments that the dump's answers became."""

    kind, label = "comment", "comments"

    def rows(self) -> Iterator[Row]:
        return self.dump.rows("Comments", label="Comments")

    def look_up(self, rows: dict[str, Row]) -> None:
        self.authors = self.known("user", _authors(rows, comment_author))
        self.targets = targets(self.source, (value(row, "PostId") for row in rows.values()))

    def build(self, row: Row) -> Comment:
        author_id = self.author_of(comment_author(row))
        target = self.target_of(value(row, "PostId"))
        parent_id = target.entity_id if target.entity_type == "comment" else None
        # What people write there is a kind of Markdown already.
        content = _content(text(row, "Text"))
        return Comment(author_id=author_id, post_id=target.post_id, parent_id=parent_id, content=content, **_times(row))


def _authors(rows: Mapping[str, Row], who: Any) -> Iterable[str]:
    for row in rows.values():
        try:
            yield who(row)
        except SkippedRowError:
            continue  # `build` counts it


def _content(content: str) -> str:
    if not content:
        raise SkippedRowError("no text")
    return content


def _times(row: Row) -> dict[str, dt.datetime]:
    created = moment(row)
    return {"created_at": created, "updated_at": moment(row, "LastEditDate") if value(row, "LastEditDate") else created}
