"""Load the demo: people, circles, posts and threads, from demo.toml."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

from django.db import models
from django.utils import timezone

from events.db import committed
from feeds import actions
from feeds.models import Circle, Comment, Entity, Follow, ImportedRow, Membership, Post, User, Vote

CONTENTS_FILE = Path(__file__).with_name("demo.toml")
#: The password of all demo users and of the administrator; `manage.py demo` prints it.
PASSWORD = "airy-demo"
ADMINISTRATOR = "admin"
#: The units of an age in demo.toml: "3d" is three days ago.
UNITS = {"d": "days", "h": "hours", "m": "minutes"}

Entry = dict[str, Any]


class NamesTakenError(Exception):
    """Users with the names of the demo's people exist already."""


def load_demo() -> bool:
    """Load everything in one transaction. Returns False if it was loaded before. Raises NamesTakenError."""
    contents = tomllib.loads(CONTENTS_FILE.read_text(encoding="utf-8"))
    with committed():
        if ImportedRow.objects.filter(source="demo").exists():
            return False
        names = [person["name"] for person in contents["people"]]
        if taken := list(User.objects.named(ADMINISTRATOR, *names).values_list("username", flat=True)):
            raise NamesTakenError(", ".join(taken))
        DemoLoader().load(contents)
        ImportedRow.objects.create(source="demo", kind="demo", external_id="1", object_id=1)
    return True


def people() -> list[str]:
    """The names of the demo's people."""
    return [person["name"] for person in tomllib.loads(CONTENTS_FILE.read_text(encoding="utf-8"))["people"]]


class DemoLoader:
    """Writes the rows with the demo's users as actors and dates them back. Recent ones give the users notices."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.people: dict[str, User] = {}

    def load(self, contents: Entry) -> None:
        """Load all of it, in an order in which it could have happened."""
        User.objects.create_superuser(username=ADMINISTRATOR, password=PASSWORD)
        for person in contents["people"]:
            user = actions.register(username=person["name"], password=PASSWORD)
            self.people[person["name"]] = user
            self._backdate(User, user.pk, person["age"], "date_joined")
        for circle in contents["circles"]:
            self._circle(circle)
        for follow in contents["follows"]:
            for name in follow["whom"]:
                followed = actions.follow(self.people[follow["who"]], username=name)
                self._backdate(Follow, followed.pk, follow["age"], "created_at")
        for join in contents["joins"]:
            member = actions.join(self.people[join["who"]], slug=join["circle"])
            self._backdate(Membership, member.pk, join["age"], "created_at")
        for post in contents["posts"]:
            self._post(post)

    def _circle(self, entry: Entry) -> None:
        owner = self.people[entry["owner"]]
        circle = actions.create_circle(owner, name=entry["name"], slug=entry["slug"], description=entry["description"])
        for name in entry["members"]:
            actions.join(self.people[name], slug=circle.slug)
        self._backdate(Circle, circle.pk, entry["age"], "created_at")
        for member in circle.memberships.all():
            self._backdate(Membership, member.pk, entry["age"], "created_at")

    def _post(self, entry: Entry) -> None:
        post = actions.create_post(
            self.people[entry["author"]],
            title=entry["title"],
            body=entry["body"].strip(),
            circle=entry.get("circle"),
            status=Post.Status.DRAFT if entry.get("draft") else Post.Status.PUBLISHED,
        )
        dates = ("created_at", "updated_at") if entry.get("draft") else ("created_at", "updated_at", "published_at")
        self._backdate(Post, post.pk, entry["age"], *dates)
        self._votes(Entity.POST, post.pk, entry)
        for comment in entry.get("comments", ()):
            self._comment(comment, post_id=post.pk)

    def _comment(self, entry: Entry, *, post_id: int, parent_id: int | None = None) -> None:
        author = self.people[entry["author"]]
        comment = actions.comment(author, post_id=post_id, content=entry["text"], parent_id=parent_id)
        self._backdate(Comment, comment.pk, entry["age"], "created_at", "updated_at")
        self._votes(Entity.COMMENT, comment.pk, entry)
        for reply in entry.get("replies", ()):
            self._comment(reply, post_id=post_id, parent_id=comment.pk)

    def _votes(self, entity_type: Entity, entity_id: int, entry: Entry) -> None:
        for vote_type in Vote.Type.values:
            for name in entry.get(vote_type, ()):
                vote = actions.vote(
                    self.people[name], entity_type=entity_type.value, entity_id=entity_id, vote_type=vote_type
                )
                self._backdate(Vote, vote.pk, entry["age"], "created_at", "updated_at")

    def _backdate(self, model: type[models.Model], pk: int, age: str, *fields: str) -> None:
        """Set the dates of a row to `age` ago. Its event is in this transaction: no subscriber sees another date."""
        moment = self.now - dt.timedelta(**{UNITS[age[-1]]: int(age[:-1])})
        model._base_manager.filter(pk=pk).update(**dict.fromkeys(fields, moment))
