"""Pages of posts: read, write, preview, save as a draft, edit, delete."""

import pytest

from feeds.models import Post
from tests.support.browsers import Window, shown, window
from tests.support.factories import CircleFactory, MembershipFactory, PostFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]


def test_a_post_is_shown_with_its_markdown_and_without_its_html():
    post = PostFactory(title="<b>Bold</b>", body="**strong** <script>alert(1)</script>")
    page = Window().read(f"/posts/{post.pk}")
    assert "<strong>strong</strong>" in page
    assert "<script>alert" not in page
    assert "&lt;b&gt;Bold&lt;/b&gt;" in page


def test_writing_a_post_publishes_it():
    alice = window()
    page = shown(alice.send("/posts/new", title="Hello", body="First words"))
    assert "Your post is published." in page
    post = Post.objects.get()
    assert (post.author, post.title, post.body, post.is_visible) == (alice.user, "Hello", "First words", True)


def test_a_post_goes_into_a_circle_of_ones_own():
    alice = window()
    circle = MembershipFactory(user=alice.user).circle
    assert circle.name in alice.read("/posts/new")
    alice.send("/posts/new", title="Hello", circle=circle.slug)
    assert Post.objects.get().circle == circle


def test_a_link_from_a_circle_offers_it_to_who_is_no_member():
    circle = CircleFactory()
    page = window().read(f"/posts/new?circle={circle.slug}")
    assert f'<option value="{circle.slug}" selected>' in page


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"title": "   ", "body": "kept text"}, "This must not be empty."),
        ({"title": "t" * 301, "body": "kept text"}, "at most 300"),
        ({"title": "Hello", "body": "kept text" + "x" * 40_001}, "at most 40000"),
    ],
)
def test_a_refused_post_says_why_and_keeps_the_text(values, error):
    page = shown(window().send("/posts/new", **values), 422)
    assert error in page
    assert "kept text" in page
    assert not Post.objects.exists()


def test_line_ends_of_browsers_do_not_count_twice():
    window().send("/posts/new", title="Hello", body="\r\n" * 20_000 + "end")
    assert Post.objects.get().body.endswith("end")


def test_a_draft_is_seen_by_its_author_alone_until_published():
    alice = window()
    page = shown(alice.send("/posts/new", title="Unfinished", draft="1"))
    assert "Draft saved." in page
    assert "Unfinished" in page
    draft = Post.objects.get()
    Window().read(f"/posts/{draft.pk}", 404)
    window().read(f"/posts/{draft.pk}/edit", 404)
    assert "Only you can see it" in alice.read(f"/posts/{draft.pk}")
    alice.send(f"/posts/{draft.pk}/edit", title="Finished", publish="1")
    assert "Finished" in Window().read(f"/posts/{draft.pk}")


def test_saving_a_draft_does_not_publish_it():
    alice = window()
    draft = PostFactory(author=alice.user, status="draft")
    alice.send(f"/posts/{draft.pk}/edit", title="Still unfinished")
    draft.refresh_from_db()
    assert (draft.title, draft.status) == ("Still unfinished", "draft")


def test_a_preview_shows_the_post_and_writes_nothing():
    page = shown(window().send("/posts/new", title="Look", body="**strong**", preview="1"))
    assert "<strong>strong</strong>" in page
    assert "**strong**" in page
    assert not Post.objects.exists()


def test_editing_changes_a_post():
    alice = window()
    post = PostFactory(author=alice.user, circle=CircleFactory())
    form = alice.get(f"/posts/{post.pk}/edit").context["form"]
    assert form["circle"].value() == post.circle.slug
    alice.send(f"/posts/{post.pk}/edit", title="New title", body="New body", circle="")
    post.refresh_from_db()
    assert (post.title, post.body, post.circle) == ("New title", "New body", None)


def test_nobody_else_edits_or_deletes_a_post():
    post, mallory = PostFactory(), window()
    assert "Only the author" in mallory.read(f"/posts/{post.pk}/edit", 403)
    shown(mallory.send(f"/posts/{post.pk}/edit", title="Mine now"), 403)
    shown(mallory.send(f"/posts/{post.pk}/delete"), 403)
    assert Post.objects.visible().filter(title=post.title).exists()


def test_deleting_asks_first():
    alice = window()
    post = PostFactory(author=alice.user)
    assert "Delete “" in alice.read(f"/posts/{post.pk}/delete")
    assert Post.objects.visible().exists()
    assert "Post deleted." in shown(alice.send(f"/posts/{post.pk}/delete"))
    alice.read(f"/posts/{post.pk}", 404)


def test_the_owner_of_a_circle_deletes_what_is_posted_there():
    owner = window()
    post = PostFactory(circle=CircleFactory(owner=owner.user))
    assert f"/posts/{post.pk}/delete" in owner.read(f"/posts/{post.pk}")
    owner.send(f"/posts/{post.pk}/delete")
    assert not Post.objects.visible().exists()


def test_who_is_not_signed_in_is_sent_to_sign_in_and_comes_back():
    response = Window().get("/posts/new?circle=gardening")
    assert response.headers["Location"] == "/login?next=/posts/new%3Fcircle%3Dgardening"


@pytest.mark.parametrize("number", ["0", "999", "9" * 18, "9" * 30, "x"])
def test_a_post_that_there_is_not_is_not_found(number):
    Window().read(f"/posts/{number}", 404)


def test_a_blocked_reader_does_not_find_the_post():
    post = PostFactory()
    blocked = window()
    window(post.author).send(f"/users/{blocked.user.username}/ties", verb="block")
    blocked.read(f"/posts/{post.pk}", 404)
    window(UserFactory()).read(f"/posts/{post.pk}")


def test_an_old_title_that_shows_nothing_can_be_clicked():
    post = PostFactory(title="\u200b")
    assert ">(no title)</a>" in Window().read("/?sort=new")
    assert ">(no title)</h1>" in Window().read(f"/posts/{post.pk}")


def test_a_title_turns_nothing_around_it():
    post = PostFactory(title="see \u202eexe.txt")
    page = Window().read(f"/posts/{post.pk}")
    assert "<title>\u2068see \u202eexe.txt\u2069 · Airy</title>" in page
    assert '<h1 dir="auto">' in page


def test_the_question_before_deleting_keeps_the_direction_of_a_title_to_itself():
    alice = window()
    post = PostFactory(author=alice.user, title="مرحبا")
    assert "Delete “\u2068مرحبا\u2069”?" in alice.read(f"/posts/{post.pk}/delete")


def test_a_preview_names_a_title_that_shows_nothing():
    page = shown(window().send("/posts/new", title="\u200b", body="Words", preview="1"))
    assert "(no title)</h2>" in page
