"""What a block or a ban forbids is refused also beside the transaction that writes the block or the ban."""

import pytest

from feeds import actions
from feeds.errors import NotAllowedError
from feeds.models import Comment, Follow, User, Vote
from tests.support.beside import transaction_beside
from tests.support.factories import CommentFactory, PostFactory, UserFactory
from tests.support.refusals import refused

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def follow(user: User, author: User) -> None:
    actions.follow(user, username=author.username)


def vote(user: User, author: User) -> None:
    actions.vote(user, entity_type="post", entity_id=PostFactory(author=author).pk, vote_type="up")


def comment(user: User, author: User) -> None:
    actions.comment(user, post_id=PostFactory(author=author).pk, content="Hello.")


def reply(user: User, author: User) -> None:
    above = CommentFactory(author=author)
    actions.comment(user, post_id=above.post_id, parent_id=above.pk, content="Hello.")


def traces(user: User) -> int:
    """What a user has written."""
    return sum(rows.count() for rows in (user.follows, Vote.objects.filter(user=user), Comment.objects.of(user)))


DEEDS = [follow, vote, comment, reply]


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("blocks", ["user", "author"])
def test_a_deed_beside_a_block_waits_for_it_and_is_refused(deed, blocks) -> None:
    user, author = UserFactory(), UserFactory()
    by, target = (user, author) if blocks == "user" else (author, user)
    with transaction_beside(lambda: deed(user, author)) as outcome:
        actions.block(by, username=target.username)
    assert isinstance(outcome[0], NotAllowedError)
    assert traces(user) == 0


def test_a_block_beside_a_follow_waits_for_it_and_ends_it() -> None:
    user, author = UserFactory(), UserFactory()
    with transaction_beside(lambda: actions.block(author, username=user.username)) as outcome:
        follow(user, author)
    assert outcome == [None]
    assert not Follow.objects.exists()


def test_those_who_do_not_block_each_other_do_not_wait() -> None:
    user, author, third = UserFactory(), UserFactory(), UserFactory()
    with transaction_beside(lambda: follow(user, author)):
        follow(third, author)
        actions.block(author, username=user.username)
    assert set(Follow.objects.values_list("follower_id", flat=True)) == {third.pk}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_beside_a_ban_waits_for_it_and_is_refused(deed) -> None:
    user, author = UserFactory(), UserFactory()
    with transaction_beside(lambda: deed(user, author)) as outcome:
        banned = User.objects.get(pk=user.pk)
        banned.is_active = False
        banned.save()
    assert isinstance(outcome[0], NotAllowedError)
    assert traces(user) == 0


def test_a_stale_user_object_of_a_banned_user_does_nothing() -> None:
    user, author = UserFactory(), UserFactory()
    User.objects.filter(pk=user.pk).update(is_active=False)
    refused(NotAllowedError, act=lambda: follow(user, author))
