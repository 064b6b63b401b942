"""Pulling: the posts with so many readers that each finds them merged in on reading."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from feeds.models import Follow, Membership, Post, PulledPost, User


def pulled_for(viewer: User) -> QuerySet[PulledPost]:
    """Those of whom the viewer follows and of the viewer's circles.

    Whose they can be is asked first, here: a reader who follows none of them would else look through all of them.
    """
    authors = Follow.objects.filter(
        Exists(PulledPost.objects.filter(author_id=OuterRef("followee_id"))), follower=viewer
    ).values_list(Value("author"), "followee_id")
    circles = Membership.objects.filter(
        Exists(PulledPost.objects.filter(circle_id=OuterRef("circle_id"))), user=viewer
    ).values_list(Value("circle"), "circle_id")
    wanted: dict[str, list[int]] = {"author": [], "circle": []}
    for kind, source_id in authors.union(circles, all=True):
        wanted[kind].append(source_id)
    # A post may have left the circle a moment ago.
    still_there = Exists(Post.objects.filter(pk=OuterRef("post_id"), circle=OuterRef("circle_id")))
    return PulledPost.objects.filter(Q(author_id__in=wanted["author"]) | Q(still_there, circle_id__in=wanted["circle"]))
