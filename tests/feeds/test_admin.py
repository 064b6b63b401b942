"""The admin of feeds: every model has pages; more rows need no more queries; deleting is the soft delete."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from events.testing import deliver
from feeds.models import (
    ApiToken,
    Comment,
    CommentText,
    EarlierCounts,
    EntityCounts,
    FeedEntry,
    Post,
    PostText,
    PulledPost,
    RecoveryCode,
    SearchDocument,
    SecondFactor,
    Uncounted,
    User,
    UserSession,
)
from tests.support.factories import (
    BlockFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    MuteFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.ways_to_write import change_in_admin, delete_in_admin, delete_selected_in_admin, staff_client

pytestmark = [pytest.mark.django_db, pytest.mark.home]

MODELS = [model for model in apps.get_app_config("feeds").get_models() if model is not FeedEntry]
NOT_ADDED = {
    ApiToken,
    CommentText,
    EarlierCounts,
    EntityCounts,
    PostText,
    PulledPost,
    RecoveryCode,
    SearchDocument,
    SecondFactor,
    Uncounted,
    UserSession,
}


def some_rows() -> None:
    comment = CommentFactory()
    CommentFactory(post=comment.post, parent=comment)
    VoteFactory(post=comment.post)
    MembershipFactory()
    FollowFactory(followee=comment.post.author)
    BlockFactory()
    MuteFactory()
    factor = SecondFactor.objects.create(user=comment.author, sealed_secret="x")
    factor.recovery_codes.create(digest=str(comment.pk))
    comment.author.tokens.create(name="script", digest=str(comment.pk))
    Client().force_login(comment.author)
    PostFactory(author=comment.post.author)
    deliver()
    VoteFactory(post=comment.post)


def queries_of(client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.get(address)
    assert response.status_code == 200
    return len(queries)


def test_every_model_is_in_the_admin() -> None:
    assert [model.__name__ for model in MODELS if not admin.site.is_registered(model)] == []


def test_every_list_is_searched_and_asks_no_more_for_more_rows() -> None:
    client = staff_client()
    names = [model._meta.label_lower.replace(".", "_") for model in MODELS]
    addresses = [reverse(f"admin:{name}_changelist") for name in names]
    some_rows()
    few = {address: queries_of(client, address) for address in addresses}
    some_rows()
    some_rows()
    many = {address: queries_of(client, address) for address in addresses}
    assert {address: many[address] for address in addresses if many[address] > few[address]} == {}
    for address in addresses:
        assert client.get(address, {"q": "User1"}).status_code == 200, address


def test_every_row_has_its_page() -> None:
    client = staff_client()
    some_rows()
    request = client.get("/admin/").wsgi_request
    for model in MODELS:
        name = model._meta.label_lower.replace(".", "_")
        row = model.objects.first()
        if row is not None:
            assert client.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 200, name
        added = client.get(reverse(f"admin:{name}_add")).status_code
        assert added == (200 if admin.site.get_model_admin(model).has_add_permission(request) else 403), name


def test_a_feed_is_on_the_page_of_its_reader(django_assert_max_num_queries) -> None:
    follow = FollowFactory()
    posts = [PostFactory(author=follow.followee) for _ in range(3)]
    deliver()
    assert FeedEntry.objects.count() == 3
    client = staff_client()
    with django_assert_max_num_queries(12):
        page = client.get(reverse("admin:feeds_user_change", args=[follow.follower_id])).content.decode()
    for post in posts:
        assert f'<a href="{reverse("admin:feeds_post_change", args=[post.pk])}">{post.title}</a>' in page


def test_a_user_deleted_in_the_admin_is_forgotten() -> None:
    user, other = PostFactory().author, CommentFactory().author
    client = staff_client()
    delete_in_admin(client, user)
    delete_selected_in_admin(client, other)
    assert {User.objects.get(pk=one.pk).username for one in (user, other)} == {
        f"deleted-{user.pk}",
        f"deleted-{other.pk}",
    }
    assert Post.objects.visible().filter(author=user).exists()
    assert Comment.objects.visible().filter(author=other).exists()


def test_a_user_banned_in_the_admin_is_signed_out() -> None:
    user = UserFactory(is_staff=True)
    client = staff_client()
    theirs = staff_client()
    theirs.force_login(user)
    assert theirs.get("/admin/").status_code == 200
    change_in_admin(client, user, is_active=False)
    assert theirs.get("/admin/").status_code == 302


def test_counts_are_only_looked_at() -> None:
    VoteFactory()
    deliver()
    client, counts = staff_client(), EntityCounts.objects.get()
    address = reverse("admin:feeds_entitycounts_change", args=[counts.pk])
    assert client.post(address, {"upvotes": 99}).status_code == 403
    assert client.post(reverse("admin:feeds_entitycounts_delete", args=[counts.pk]), {"post": "yes"}).status_code == 403
    assert EntityCounts.objects.get().upvotes == 1


def test_a_published_post_is_not_made_a_draft() -> None:
    post = PostFactory()
    page = staff_client().get(reverse("admin:feeds_post_change", args=[post.pk]))
    assert "status" not in page.context["adminform"].form.fields
