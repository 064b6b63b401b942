"""Topic cases: for each topic the ways to make the change, and the payload of its event."""

from collections.abc import Callable
from types import SimpleNamespace as Scene
from typing import Any, NamedTuple

from events.bus import Event
from events.testing import emitted
from feeds import actions, events
from feeds.factor.seal import unseal
from feeds.factor.totp import new_secret
from feeds.models import Comment, Follow, Membership, Post, SecondFactor, User, Vote
from tests.support.api_client import signed_up
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.factors import App, with_factor
from tests.support.ways_to_write import add_in_admin, change_in_admin, delete_in_admin, save

PASSWORD = "correct horse 1"


class TopicCase(NamedTuple):
    """`arrange` makes a scene. Each of `ways` takes the scene and makes one change, which emits one event."""

    event: type[Event]
    arrange: Callable[[], Scene]
    ways: dict[str, Callable[[Scene], Any]]
    payload: Callable[[Scene], dict[str, Any]]

    def __repr__(self) -> str:
        return self.event.topic


def of_post(scene: Scene) -> dict[str, Any]:
    return {"post_id": scene.post.pk, "author_id": scene.post.author_id}


def of_comment(scene: Scene) -> dict[str, Any]:
    comment = scene.comment
    return {"comment_id": comment.pk, "post_id": comment.post_id, "author_id": comment.author_id}


def of_follow(scene: Scene) -> dict[str, Any]:
    return {"follower_id": scene.fan.pk, "followee_id": scene.star.pk}


def of_membership(scene: Scene) -> dict[str, Any]:
    return {"circle_id": scene.circle.pk, "user_id": scene.user.pk}


def of_vote(scene: Scene, vote_type: str) -> dict[str, Any]:
    vote = getattr(scene, "vote_id", None) or Vote.objects.latest("pk").pk
    post = scene.post.pk
    return {"vote_id": vote, "user_id": scene.user.pk, "entity_type": "post", "entity_id": post, "vote_type": vote_type}


def a_new_comment(scene: Scene) -> dict[str, Any]:
    scene.comment = Comment.objects.latest("pk")
    return {**of_comment(scene), "parent_id": scene.parent.pk, "content": "Why?"}


def a_vote() -> Scene:
    post, user = PostFactory(), UserFactory()
    vote = VoteFactory(post=post, user=user, vote_type="up")
    return Scene(post=post, user=user, vote=vote, vote_id=vote.pk)


def a_reader_of(**rows: Any) -> Scene:
    return Scene(user=UserFactory(), **rows)


def a_follow() -> Scene:
    fan, star = UserFactory(), UserFactory()
    return Scene(fan=fan, star=star, follow=FollowFactory(follower=fan, followee=star))


def a_membership() -> Scene:
    user, circle = UserFactory(), CircleFactory()
    return Scene(user=user, circle=circle, membership=MembershipFactory(circle=circle, user=user))


def an_app() -> Scene:
    return Scene(user=UserFactory(), app=App(new_secret()))


def of_factor(scene: Scene) -> dict[str, Any]:
    return {"user_id": scene.user.pk, "language": "en"}


def sealed_as(address: str) -> str:
    """What the last event has, which is another text each time; it is this address."""
    sealed = emitted(events.EmailChanged)[-1].sealed_before
    assert unseal(sealed) == address
    return sealed


TOPIC_CASES = [
    TopicCase(
        events.FactorTurnedOn,
        an_app,
        {
            "model": lambda s: SecondFactor.objects.create(user=s.user, sealed_secret="x"),
            "action": lambda s: actions.turn_on_factor(s.user, secret=s.app.secret, code=s.app.code()),
        },
        of_factor,
    ),
    TopicCase(
        events.FactorTurnedOff,
        lambda: Scene(user=with_factor()[0]),
        {
            "model": lambda s: s.user.factors.get().delete(),
            "action": lambda s: actions.turn_off_factor(s.user),
            "admin": lambda s: delete_in_admin(s.admin, s.user.factors.get()),
            "queryset": lambda s: SecondFactor.objects.filter(user=s.user).delete(),
            "leaving": lambda s: s.user.delete(),
        },
        of_factor,
    ),
    TopicCase(
        events.PasswordResetRequested,
        lambda: Scene(user=signed_up("alice", email="a@example.org")),
        {
            "action": lambda _: actions.request_password_reset(email="A@example.org", site="https://airy.example"),
        },
        lambda s: {"user_ids": (s.user.pk,), "site": "https://airy.example", "language": "en"},
    ),
    TopicCase(
        events.EmailConfirmationRequested,
        lambda: Scene(user=signed_up("alice", email="a@example.org", confirmed_email="a@example.org")),
        {
            "action": lambda s: actions.change_account(s.user, email="b@example.org", site="https://airy.example"),
        },
        lambda s: {"user_id": s.user.pk, "replaces": True, "site": "https://airy.example", "language": "en"},
    ),
    TopicCase(
        events.EmailChanged,
        lambda: Scene(user=signed_up("alice", email="a@example.org", confirmed_email="a@example.org")),
        {
            "model": lambda s: save(s.user, email=""),
            "action": lambda s: actions.change_account(s.user, email=""),
            "admin": lambda s: change_in_admin(s.admin, s.user, email="", confirmed_email=""),
        },
        lambda s: {
            "user_id": s.user.pk,
            "removed": True,
            "sealed_before": sealed_as("a@example.org"),
            "language": "en",
        },
    ),
    TopicCase(
        events.UserRegistered,
        Scene,
        {
            "model": lambda _: UserFactory(username="newcomer"),
            "action": lambda _: actions.register(username="newcomer", password=PASSWORD),
            "admin": lambda s: add_in_admin(
                s.admin, User, username="newcomer", password1=PASSWORD, password2=PASSWORD, usable_password="true"
            ),
        },
        lambda _: {"user_id": User.objects.get(username="newcomer").pk, "username": "newcomer"},
    ),
    TopicCase(
        events.PostPublished,
        lambda: Scene(post=PostFactory(status="draft", title="Tea", circle=CircleFactory())),
        {
            "model": lambda s: save(s.post, status="published"),
            "action": lambda s: actions.publish_post(s.post.author, post_id=s.post.pk),
            "admin": lambda s: change_in_admin(s.admin, s.post, status="published"),
        },
        lambda s: {**of_post(s), "circle_id": s.post.circle_id, "title": "Tea"},
    ),
    TopicCase(
        events.PostUpdated,
        lambda: Scene(post=PostFactory(), circle=CircleFactory()),
        {
            "model": lambda s: save(s.post, title="New", circle=s.circle),
            "action": lambda s: actions.edit_post(s.post.author, post_id=s.post.pk, title="New", circle=s.circle.slug),
            "admin": lambda s: change_in_admin(s.admin, s.post, title="New", circle=s.circle.pk),
        },
        lambda s: {**of_post(s), "changed": ("title", "circle")},
    ),
    TopicCase(
        events.PostDeleted,
        lambda: Scene(post=PostFactory()),
        {
            "model": lambda s: s.post.delete(),
            "action": lambda s: actions.delete_post(s.post.author, post_id=s.post.pk),
            "admin": lambda s: delete_in_admin(s.admin, s.post),
            "queryset": lambda s: Post.objects.filter(pk=s.post.pk).delete(),
        },
        of_post,
    ),
    TopicCase(
        events.PostVoted,
        lambda: a_reader_of(post=PostFactory()),
        {
            "model": lambda s: VoteFactory(user=s.user, post=s.post),
            "action": lambda s: actions.vote(s.user, entity_type="post", entity_id=s.post.pk, vote_type="up"),
            "admin": lambda s: add_in_admin(
                s.admin, Vote, user=s.user.pk, entity_type="post", entity_id=s.post.pk, vote_type="up"
            ),
        },
        lambda s: {**of_post(s), "user_id": s.user.pk, "vote_type": "up"},
    ),
    TopicCase(
        events.CommentCreated,
        lambda: a_reader_of(parent=CommentFactory()),
        {
            "model": lambda s: CommentFactory(author=s.user, post=s.parent.post, parent=s.parent, content="Why?"),
            "action": lambda s: actions.comment(
                s.user, post_id=s.parent.post_id, parent_id=s.parent.pk, content="Why?"
            ),
            "admin": lambda s: add_in_admin(
                s.admin, Comment, author=s.user.pk, post=s.parent.post_id, parent=s.parent.pk, content="Why?"
            ),
        },
        a_new_comment,
    ),
    TopicCase(
        events.CommentUpdated,
        lambda: Scene(comment=CommentFactory()),
        {
            "model": lambda s: save(s.comment, content="Better."),
            "action": lambda s: actions.edit_comment(s.comment.author, comment_id=s.comment.pk, content="Better."),
            "admin": lambda s: change_in_admin(s.admin, s.comment, content="Better."),
        },
        of_comment,
    ),
    TopicCase(
        events.CommentDeleted,
        lambda: Scene(comment=CommentFactory()),
        {
            "model": lambda s: s.comment.delete(),
            "action": lambda s: actions.delete_comment(s.comment.author, comment_id=s.comment.pk),
            "admin": lambda s: delete_in_admin(s.admin, s.comment),
            "queryset": lambda s: Comment.objects.filter(pk=s.comment.pk).delete(),
        },
        of_comment,
    ),
    TopicCase(
        events.CommentVoted,
        lambda: a_reader_of(comment=CommentFactory()),
        {
            "model": lambda s: VoteFactory(user=s.user, comment=s.comment, vote_type="down"),
            "action": lambda s: actions.vote(s.user, entity_type="comment", entity_id=s.comment.pk, vote_type="down"),
            "admin": lambda s: add_in_admin(
                s.admin, Vote, user=s.user.pk, entity_type="comment", entity_id=s.comment.pk, vote_type="down"
            ),
        },
        lambda s: {**of_comment(s), "user_id": s.user.pk, "vote_type": "down"},
    ),
    TopicCase(
        events.UserFollowed,
        lambda: Scene(fan=UserFactory(), star=UserFactory()),
        {
            "model": lambda s: FollowFactory(follower=s.fan, followee=s.star),
            "action": lambda s: actions.follow(s.fan, username=s.star.username),
            "admin": lambda s: add_in_admin(s.admin, Follow, follower=s.fan.pk, followee=s.star.pk),
        },
        of_follow,
    ),
    TopicCase(
        events.UserUnfollowed,
        a_follow,
        {
            "model": lambda s: s.follow.delete(),
            "action": lambda s: actions.unfollow(s.fan, username=s.star.username),
            "block": lambda s: actions.block(s.star, username=s.fan.username),
            "admin": lambda s: delete_in_admin(s.admin, s.follow),
            "queryset": lambda s: s.fan.follows.all().delete(),
        },
        of_follow,
    ),
    TopicCase(
        events.CircleJoined,
        lambda: a_reader_of(circle=CircleFactory()),
        {
            "model": lambda s: MembershipFactory(circle=s.circle, user=s.user),
            "action": lambda s: actions.join(s.user, slug=s.circle.slug),
            "admin": lambda s: add_in_admin(s.admin, Membership, circle=s.circle.pk, user=s.user.pk),
        },
        of_membership,
    ),
    TopicCase(
        events.CircleLeft,
        a_membership,
        {
            "model": lambda s: s.membership.delete(),
            "action": lambda s: actions.leave(s.user, slug=s.circle.slug),
            "admin": lambda s: delete_in_admin(s.admin, s.membership),
            "queryset": lambda s: s.user.memberships.all().delete(),
        },
        of_membership,
    ),
    TopicCase(
        events.VoteCreated,
        lambda: a_reader_of(post=PostFactory()),
        {
            "model": lambda s: VoteFactory(user=s.user, post=s.post),
            "action": lambda s: actions.vote(s.user, entity_type="post", entity_id=s.post.pk, vote_type="up"),
            "admin": lambda s: add_in_admin(
                s.admin, Vote, user=s.user.pk, entity_type="post", entity_id=s.post.pk, vote_type="up"
            ),
        },
        lambda s: of_vote(s, "up"),
    ),
    TopicCase(
        events.VoteUpdated,
        a_vote,
        {
            "model": lambda s: save(s.vote, vote_type="down"),
            "action": lambda s: actions.vote(s.user, entity_type="post", entity_id=s.post.pk, vote_type="down"),
            "admin": lambda s: change_in_admin(s.admin, s.vote, vote_type="down"),
        },
        lambda s: {**of_vote(s, "down"), "previous_vote_type": "up"},
    ),
    TopicCase(
        events.VoteDeleted,
        a_vote,
        {
            "model": lambda s: s.vote.delete(),
            "action": lambda s: actions.retract_vote(s.user, entity_type="post", entity_id=s.post.pk),
            "admin": lambda s: delete_in_admin(s.admin, s.vote),
            "queryset": lambda s: Vote.objects.on("post", s.post.pk).delete(),
        },
        lambda s: of_vote(s, "up"),
    ),
]
