"""Pages of comments: the tree, replies, edits, and the input of a refused form."""

import re
from functools import partial

import pytest

from events.testing import deliver
from feeds import actions
from feeds.errors import NotFoundError
from feeds.lists.threads import COMMENTS_PER_PAGE, list_comments
from feeds.models import Circle, Comment, Post
from notifications.push.counts import current_counts
from tests.support.browsers import Window, shown, window
from tests.support.factories import BlockFactory, CircleFactory, CommentFactory, PostFactory, VoteFactory
from tests.support.refusals import refused

pytestmark = pytest.mark.django_db


def nesting(page: str) -> list[tuple[int, int]]:
    """The comments of a page in order, each with its depth in the HTML."""
    depth, found = 0, []
    for tag in re.finditer(r'<details class="comment" id="comment-(\d+)"|<details|</details>', page):
        if tag[1]:
            found.append((int(tag[1]), depth))
        depth += -1 if tag[0] == "</details>" else 1
    assert depth == 0, "as many end as begin"
    return found


def test_comments_stand_in_a_tree():
    post = PostFactory()
    first, second = CommentFactory(post=post), CommentFactory(post=post)
    answer = CommentFactory(post=post, parent=first)
    deeper = CommentFactory(post=post, parent=answer)
    page = Window().read(f"/posts/{post.pk}")
    assert nesting(page) == [(first.pk, 0), (answer.pk, 1), (deeper.pk, 2), (second.pk, 0)]


def test_a_comment_shows_at_once_with_the_count():
    alice, post = window(), PostFactory()
    page = shown(alice.send(f"/posts/{post.pk}/comments", content="A **word**"))
    assert "<strong>word</strong>" in page
    assert "<span data-comments>1</span>" in page


def test_no_comment_that_a_page_knows_of_is_offered_as_new():
    post = PostFactory()
    comments = [CommentFactory(post=post) for _ in range(2)]
    deliver()
    late = [CommentFactory(post=post) for _ in range(2)]
    comments[0].delete()
    (told,) = current_counts([post.pk])
    assert told["comments"] == 3
    page = Window().read(f"/posts/{post.pk}")
    assert all(f'id="comment-{comment.pk}"' in page for comment in late)
    assert 'data-said="3"' in page
    first = list_comments(post, size=1)
    assert first.said == list_comments(post, size=1, cursor=first.next_cursor).said == 3


def test_an_answer_is_written_beneath_what_it_answers():
    alice, first = window(), CommentFactory()
    page = alice.read(f"/posts/{first.post_id}?reply_to={first.pk}")
    assert f'name="parent_id" value="{first.pk}"' in page
    assert page.index('class="answer"') > page.index(f'id="comment-{first.pk}"')
    response = alice.post(f"/posts/{first.post_id}/comments", {"content": "Yes", "parent_id": first.pk})
    answer = Comment.objects.get(parent=first)
    assert response.headers["Location"] == f"/posts/{first.post_id}?comment={answer.pk}#comment-{answer.pk}"


def test_a_refused_comment_keeps_its_text_where_it_was_written():
    alice, first = window(), CommentFactory()
    text = "long " * 2_001
    page = shown(alice.send(f"/posts/{first.post_id}/comments", content=text, parent_id=first.pk), 422)
    assert "at most 10000" in page
    assert text.strip() in page
    assert page.index('class="answer"') > page.index(f'id="comment-{first.pk}"')


def test_a_text_survives_that_its_parent_was_deleted():
    alice, first = window(), CommentFactory()
    actions.delete_comment(first.author, comment_id=first.pk)
    response = alice.send(f"/posts/{first.post_id}/comments", content="My long answer", parent_id=first.pk)
    page = shown(response, 422)
    assert "The comment you are replying to no longer exists." in page
    assert "My long answer" in page
    # Sent again, it becomes a comment on the post.
    assert f'name="parent_id" value="{first.pk}"' not in page


def test_a_deleted_comment_keeps_its_place_while_it_has_answers():
    first = CommentFactory(content="Secret of the author")
    CommentFactory(post=first.post, parent=first, content="An answer to it")
    window(first.author).send(f"/comments/{first.pk}/delete")
    page = Window().read(f"/posts/{first.post_id}")
    assert "This comment was deleted by its author." in page
    assert "An answer to it" in page
    assert "Secret of the author" not in page


def led_to(browser: Window, comment: Comment) -> str:
    """Where deleting a comment leads."""
    return browser.post(f"/comments/{comment.pk}/delete").headers["Location"]


def test_deleting_a_comment_leads_to_what_it_replied_to():
    first = CommentFactory()
    answer = CommentFactory(post=first.post, parent=first)
    CommentFactory(post=first.post, parent=first)
    assert led_to(window(answer.author), answer) == f"/posts/{first.post_id}?comment={first.pk}#comment-{first.pk}"


def test_deleting_a_comment_with_answers_leads_to_its_place():
    first = CommentFactory()
    CommentFactory(post=first.post, parent=first)
    where = led_to(window(first.author), first)
    assert where == f"/posts/{first.post_id}?comment={first.pk}#comment-{first.pk}"
    assert f'id="comment-{first.pk}"' in Window().read(where)


def test_deleting_a_comment_below_one_that_is_gone_leads_further_up():
    first = CommentFactory()
    gone = CommentFactory(post=first.post, parent=first)
    answer = CommentFactory(post=first.post, parent=gone)
    gone.delete()
    assert led_to(window(answer.author), answer).endswith(f"#comment-{first.pk}")


def test_deleting_a_comment_on_the_post_leads_to_the_one_beside_it():
    post = PostFactory()
    first, second, third = (CommentFactory(post=post) for _ in range(3))
    assert led_to(window(second.author), second).endswith(f"#comment-{first.pk}")
    assert led_to(window(first.author), first).endswith(f"#comment-{third.pk}")
    assert led_to(window(third.author), third) == f"/posts/{post.pk}#comments"


def test_what_many_found_bad_begins_folded():
    bad, good = CommentFactory(), CommentFactory()
    for _ in range(4):
        VoteFactory(comment=bad, vote_type="down")
    deliver()
    assert f'id="comment-{bad.pk}">' in Window().read(f"/posts/{bad.post_id}")
    assert f'id="comment-{good.pk}" open>' in Window().read(f"/posts/{good.post_id}")


def test_its_author_edits_a_comment_and_nobody_else():
    comment, mallory = CommentFactory(), window()
    alice = window(comment.author)
    assert comment.content in alice.read(f"/comments/{comment.pk}/edit")
    assert "Better words" in shown(alice.send(f"/comments/{comment.pk}/edit", content="Better words"))
    mallory.read(f"/comments/{comment.pk}/edit", 403)
    shown(mallory.send(f"/comments/{comment.pk}/edit", content="Worse words"), 403)


def test_the_owner_of_the_circle_deletes_a_comment():
    owner = window()
    comment = CommentFactory(post=PostFactory(circle=CircleFactory(owner=owner.user)))
    assert f"/comments/{comment.pk}/delete" in owner.read(f"/posts/{comment.post_id}")
    owner.send(f"/comments/{comment.pk}/delete")
    assert not Comment.objects.visible().exists()


def test_strangers_are_asked_to_sign_in():
    comment = CommentFactory()
    page = Window().read(f"/posts/{comment.post_id}")
    assert f"/login?next=/posts/{comment.post_id}" in page
    assert "<textarea" not in page


def test_the_address_of_a_comment_leads_into_its_thread():
    comment = CommentFactory()
    response = Window().get(f"/comments/{comment.pk}")
    assert response.headers["Location"] == f"/posts/{comment.post_id}?comment={comment.pk}#comment-{comment.pk}"


@pytest.mark.parametrize("blocks", ["author", "reader"])
@pytest.mark.parametrize("by", ["its author", "another"])
def test_across_a_block_a_comment_has_no_address(blocks, by):
    post, reader = PostFactory(), window()
    comment = CommentFactory(post=post, **({"author": post.author} if by == "its author" else {}))
    user, target = (post.author, reader.user) if blocks == "author" else (reader.user, post.author)
    BlockFactory(user=user, target=target)
    for address in ("", "/edit", "/delete"):
        reader.read(f"/comments/{comment.pk}{address}", 404)
    assert "doesn" in shown(reader.send(f"/comments/{comment.pk}/delete"), 404)
    for text, method in ((comment, actions.delete_comment), (post, actions.delete_post)):
        refused(NotFoundError, act=partial(method, reader.user, **{f"{text._meta.model_name}_id": text.pk}))


def test_across_a_block_one_s_own_comment_and_what_one_moderates_are_there():
    post, reader, owner = PostFactory(circle=CircleFactory()), window(), window()
    own = CommentFactory(post=post, author=reader.user)
    for user in (reader.user, owner.user):
        BlockFactory(user=post.author, target=user)
    assert own.content in reader.read(f"/comments/{own.pk}/edit")
    reader.send(f"/comments/{own.pk}/delete")
    assert not Comment.objects.visible().exists()
    owner.read(f"/posts/{post.pk}/delete", 404)
    Circle.objects.filter(pk=post.circle_id).update(owner=owner.user)
    assert post.title in owner.read(f"/posts/{post.pk}/delete")
    owner.send(f"/posts/{post.pk}/delete")
    assert not Post.objects.visible().exists()


def test_a_comment_far_down_is_found_with_its_thread():
    post = PostFactory()
    earlier = [CommentFactory(post=post) for _ in range(5)]
    root = CommentFactory(post=post)
    answer = CommentFactory(post=post, parent=root)
    page = list_comments(post, size=3, focus=answer.pk)
    assert [comment.pk for comment in page.items] == [root.pk, answer.pk]
    page = list_comments(post, size=3, focus=earlier[1].pk)
    assert page.items[0] == earlier[0]


def test_a_comment_far_down_in_a_long_thread_begins_the_page():
    post = PostFactory()
    chain = [CommentFactory(post=post)]
    for _ in range(6):
        chain.append(CommentFactory(post=post, parent=chain[-1]))
    page = list_comments(post, size=3, focus=chain[5].pk)
    assert page.items == chain[5:]
    assert nesting(Window().read(f"/posts/{post.pk}?comment={chain[5].pk}"))[0] == (chain[0].pk, 0)


def test_a_page_that_begins_inside_a_thread_is_whole():
    post = PostFactory()
    chain = [CommentFactory(post=post)]
    for _ in range(COMMENTS_PER_PAGE + 2):
        chain.append(CommentFactory(post=post, parent=chain[-1]))
    cursor = Window().get(f"/posts/{post.pk}").context["page"].next_cursor
    found = nesting(Window().read(f"/posts/{post.pk}?cursor={cursor}"))
    assert [depth for _, depth in found] == [0, 1, 2]
