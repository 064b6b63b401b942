"""Fan-out on read: the posts with too many readers for feed entries, merged in when a feed is read."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from feeds.models import Follow, Membership, Post, PulledPost, User


def posts_merged_on_read(viewer: User) -> QuerySet[PulledPost]:
    """Such posts by people the viewer follows, and those in the viewer's circles.

    The sources are fetched first: most readers follow no author of such posts, and would else scan all of them.
    """
    authors = Follow.objects.filter(
        Exists(PulledPost.objects.filter(author_id=OuterRef("followee_id"))), follower=viewer
    ).values_list(Value("author"), "followee_id")
    circles = Membership.objects.filter(
        Exists(PulledPost.objects.filter(circle_id=OuterRef("circle_id"))), user=viewer
    ).values_list(Value("circle"), "circle_id")
    sources: dict[str, list[int]] = {"author": [], "circle": []}
    for kind, source_id in authors.union(circles, all=True):
        sources[kind].append(source_id)
    # The post may have moved to another circle, and no subscriber has noted it yet.
    still_there = Exists(Post.objects.filter(pk=OuterRef("post_id"), circle=OuterRef("circle_id")))
    of_author, of_circle = Q(author_id__in=sources["author"]), Q(circle_id__in=sources["circle"])
    return PulledPost.objects.filter(of_author | Q(still_there, of_circle))
