"""Factories: rows for tests, saved as the models save them, so that their events are emitted."""

import factory
from factory.django import DjangoModelFactory

from feeds.models import Block, Circle, Comment, Follow, Membership, Mute, Post, User, Vote


class UserFactory(DjangoModelFactory):
    """A user with a name of their own and no password."""

    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user{n}")


class CircleFactory(DjangoModelFactory):
    """A circle; its owner is a member."""

    class Meta:
        model = Circle

    slug = factory.Sequence(lambda n: f"circle-{n}")
    name = factory.Sequence(lambda n: f"Circle {n}")
    owner = factory.SubFactory(UserFactory)


class MembershipFactory(DjangoModelFactory):
    """A user in a circle."""

    class Meta:
        model = Membership

    circle = factory.SubFactory(CircleFactory)
    user = factory.SubFactory(UserFactory)


class FollowFactory(DjangoModelFactory):
    """One follows the other."""

    class Meta:
        model = Follow

    follower = factory.SubFactory(UserFactory)
    followee = factory.SubFactory(UserFactory)


class PostFactory(DjangoModelFactory):
    """A published post outside of any circle."""

    class Meta:
        model = Post

    author = factory.SubFactory(UserFactory)
    title = factory.Sequence(lambda n: f"Post {n}")
    body = "Some words."


class CommentFactory(DjangoModelFactory):
    """A comment on a post."""

    class Meta:
        model = Comment

    post = factory.SubFactory(PostFactory)
    author = factory.SubFactory(UserFactory)
    content = "An answer."


class VoteFactory(DjangoModelFactory):
    """An upvote on a post: VoteFactory(post=…), VoteFactory(comment=…, vote_type="down")."""

    class Meta:
        model = Vote

    class Params:
        post = factory.SubFactory(PostFactory)
        comment = None

    user = factory.SubFactory(UserFactory)
    entity_type = factory.LazyAttribute(lambda vote: "comment" if vote.comment else "post")
    entity_id = factory.LazyAttribute(lambda vote: (vote.comment or vote.post).pk)
    vote_type = "up"


class BlockFactory(DjangoModelFactory):
    """One blocks the other."""

    class Meta:
        model = Block

    user = factory.SubFactory(UserFactory)
    target = factory.SubFactory(UserFactory)


class MuteFactory(DjangoModelFactory):
    """One mutes the other."""

    class Meta:
        model = Mute

    user = factory.SubFactory(UserFactory)
    target = factory.SubFactory(UserFactory)
