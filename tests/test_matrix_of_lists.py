"""The matrix of lists: what stands in them for each kind of person, and what must not."""

from __future__ import annotations

import pytest

from events.testing import deliver
from feeds import actions
from feeds.models import Post
from tests.support.factories import CommentFactory, FollowFactory, MembershipFactory, PostFactory
from tests.support.people import KINDS, TOKENS, People

pytestmark = [pytest.mark.home, pytest.mark.django_db]

EVERYBODY = {*KINDS, *TOKENS}
#: Texts of the author by the word that stands in each and nowhere else, and who must not see it in any list.
UNSEEN = {
    "zirconpost": {"blocked", "blocker", "muter"},
    "quartzcomment": {"blocked", "blocker", "muter"},
    "opaldraft": EVERYBODY - {"author", *TOKENS},
    "removedpost": EVERYBODY,
    "removedcomment": EVERYBODY,
}
#: Who mutes the author opens the author's page on purpose; one's archive has all of one's own.
SHOWN_ANYWAY = {("muter", "zirconpost"): ("/users/author", "author=author"), ("author", "removed"): ("/export",)}
LISTS = (
    *("/", "/circles/cats", "/users/author", "/drafts", "/circles", "/notifications", "/settings", "/posts/{other}"),
    *(f"/?sort={sort}" for sort in ("hot", "new", "top", "controversial")),
    *(f"/api/posts?sort={sort}{of}" for sort in ("hot", "new") for of in ("", "&circle=cats", "&author=author")),
    *("/api/posts?status=draft", "/api/feed", "/api/notifications", "/api/circles", "/api/users/author"),
    *("/api/me/export", "/api/posts/{other}/comments"),
    *(f"{search}?q={word}" for search in ("/search", "/api/search") for word in UNSEEN),
)
#: What a stranger and the author do find, so that the words would be noticed elsewhere.
FOUND = {
    *((address, "stranger", "zirconpost") for address in ("/", "/circles/cats", "/users/author", "/api/feed")),
    *((address, "stranger", "zirconpost") for address in ("/api/posts?sort=new", "/api/search?q=zirconpost")),
    *((address, "stranger", "quartzcomment") for address in ("/posts/{other}", "/api/posts/{other}/comments")),
    *((address, "author", "opaldraft") for address in ("/drafts", "/api/posts?status=draft", "/api/me/export")),
}


@pytest.fixture
def people() -> People:
    """All follow the author and belong to the circle, also across the blocks; then the author writes."""
    people = People()
    for kind in KINDS[1:]:
        if kind not in ("author", "owner"):
            FollowFactory(follower=people.users[kind], followee=people.users["author"])
            MembershipFactory(circle=people.post.circle, user=people.users[kind])
    return people


def test_no_list_has_what_a_kind_of_person_may_not_see(people: People) -> None:
    author, owner, circle = people.users["author"], people.users["owner"], people.post.circle
    other = PostFactory(author=owner, circle=circle)
    PostFactory(author=author, circle=circle, title="zirconpost")
    PostFactory(author=author, title="opaldraft", status=Post.Status.DRAFT)
    CommentFactory(post=other, author=author, content="quartzcomment")
    removed = PostFactory(author=author, circle=circle, title="removedpost")
    comment = CommentFactory(post=other, author=author, content="removedcomment")
    deliver()
    actions.delete_post(owner, post_id=removed.pk)
    actions.delete_comment(owner, comment_id=comment.pk)
    deliver()
    found = {
        (address, kind, word)
        for address in LISTS
        for kind in (*KINDS, *(TOKENS if address.startswith("/api") else ()))
        for word in words(people, kind, address, address.format(other=other.pk))
    }
    wrong = {
        (address, kind, word)
        for address, kind, word in found
        if kind in UNSEEN[word] and not any(part in address for part in anyway(kind, word))
    }
    assert wrong == set()
    assert found >= FOUND


def words(people: People, kind: str, name: str, address: str) -> list[str]:
    """The words of the author that stand in the list, but for what the list was asked for."""
    if address.startswith("/api"):
        answer = people.program(kind).send("GET", address.removeprefix("/api"))
    else:
        answer = people.browser(kind).get(address)
    if answer.status_code != 200:
        return []
    text = b"".join(answer).decode()
    if "?q=" in address and name.startswith("/search"):  # the page repeats what was asked, and says if nothing is found
        text = text.partition('<article class="card"')[2]
    return [word for word in UNSEEN if word in text]


def anyway(kind: str, word: str) -> tuple[str, ...]:
    """Parts of the addresses at which this kind sees the word on purpose."""
    return next((where for (who, begin), where in SHOWN_ANYWAY.items() if who == kind and word.startswith(begin)), ())
