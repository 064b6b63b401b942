"""Subjects: what the people, posts and circles in notices are called now; any may have got another name since."""

from __future__ import annotations

from collections.abc import Sequence

from feeds.models import Circle, Post, User
from notifications.models import Notification


def refresh(rows: Sequence[Notification]) -> Sequence[Notification]:
    """The same rows, with the current `names` of the people and `title` of the post or circle in their data; one query
    for each of the three that occurs. Withdrawn notices have no names and titles any more, and stay as they are."""
    shown = [row for row in rows if row.withdrawn_at is None]
    people = {actor for row in shown for actor in row.data.get("actors", ())}
    names = dict(User.objects.filter(pk__in=people).values_list("pk", "username")) if people else {}
    posts = {row.data["post_id"] for row in shown if "post_id" in row.data}
    post_titles = dict(Post.objects.filter(pk__in=posts).values_list("pk", "title")) if posts else {}
    circles = {row.data["circle"] for row in shown if "circle" in row.data}
    circle_titles = dict(Circle.objects.filter(slug__in=circles).values_list("slug", "name")) if circles else {}
    for row in shown:
        data = row.data
        if "actors" in data:
            data["names"] = [names.get(pk, name) for pk, name in zip(data["actors"], data["names"], strict=False)]
        if "title" in data:
            title = post_titles.get(data.get("post_id"))
            data["title"] = circle_titles.get(data.get("circle"), data["title"]) if title is None else title
    return rows
