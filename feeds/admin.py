"""Admin: everything of feeds. What is changed here goes through the models, so that its events flow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as AuthUserAdmin
from django.db import connections, models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from feeds.models import (
    ApiToken,
    Block,
    Circle,
    Comment,
    EarlierCounts,
    EntityCounts,
    FeedEntry,
    Follow,
    ImportedRow,
    Membership,
    Mute,
    Post,
    PulledPost,
    SearchDocument,
    Uncounted,
    User,
    Vote,
)

#: So many entries of a feed are shown on its reader's page.
FEED_SHOWN = 50


class Rows(admin.ModelAdmin):  # type: ignore[type-arg]
    """Large tables: no second count of all rows; what a row is about is set once."""

    show_full_result_count = False
    fixed: tuple[str, ...] = ()

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        return (*super().get_readonly_fields(request, obj), *(self.fixed if obj else ()))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """What is to be changed is locked first: saved after another deleted it, it would come back."""
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not connections[row._state.db].in_atomic_block:
            return row
        return self.model._base_manager.using(row._state.db).select_for_update(no_key=True).filter(pk=row.pk).first()

    def get_search_results(self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str) -> Any:
        """Names are compared by their folded form."""
        return super().get_search_results(request, queryset, search_term.casefold())


class Kept(Rows):
    """Rows whose deletion hides them: nothing hangs on it that would have to be deleted, too."""

    def get_deleted_objects(self, objs: Iterable[models.Model], request: HttpRequest) -> Any:
        names = [str(one) for one in objs]
        refused = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return names, {self.opts.verbose_name_plural: len(names)}, refused, []


class Derived(Rows):
    """What subscribers write: to be looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(Kept, AuthUserAdmin):  # type: ignore[type-arg]
    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_seen_at")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username_folded__startswith", "email__istartswith")
    ordering = ("-id",)
    readonly_fields = ("last_login", "date_joined", "last_seen_at", "feed")
    fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Dates"), {"fields": ("date_joined", "last_login", "last_seen_at")}),
        (_("Feed"), {"fields": ("feed",)}),
    )

    @admin.display(description=_("feed entries"))
    def feed(self, user: User) -> str:
        """The newest entries: rows with a composite key have no pages of their own here."""
        entries = (
            FeedEntry.objects.filter(user=user).order_by("-published_at", "-post").values_list("post_id", "post__title")
        )
        lines = [(reverse("admin:feeds_post_change", args=[post_id]), title) for post_id, title in entries[:FEED_SHOWN]]
        return format_html_join("", '<div><a href="{}">{}</a></div>', lines) or self.get_empty_value_display()


@admin.register(Post)
class PostAdmin(Kept):
    list_display = ("title", "author", "circle", "status", "published_at", "deleted_at")
    list_filter = ("status", ("deleted_at", admin.EmptyFieldListFilter), "published_at")
    list_select_related = ("author", "circle")
    search_fields = ("title", "author__username_folded__startswith")
    autocomplete_fields = ("author", "circle")
    readonly_fields = ("created_at", "published_at", "updated_at", "deleted_at")
    ordering = ("-id",)
    fixed = ("author",)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "status") if isinstance(obj, Post) and obj.published_at else fields


@admin.register(Comment)
class CommentAdmin(Kept):
    list_display = ("__str__", "author", "post", "created_at", "deleted_at")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("author", "post")
    search_fields = ("content", "author__username_folded__startswith")
    autocomplete_fields = ("author", "post", "parent")
    readonly_fields = ("created_at", "updated_at", "deleted_at")
    ordering = ("-id",)
    fixed = ("author", "post", "parent")


@admin.register(Vote)
class VoteAdmin(Rows):
    list_display = ("user", "vote_type", "entity_type", "entity_id", "updated_at")
    list_filter = ("vote_type", "entity_type")
    list_select_related = ("user",)
    search_fields = ("user__username_folded__startswith", "=entity_id")
    autocomplete_fields = ("user",)
    ordering = ("-id",)
    fixed = ("user", "entity_type", "entity_id")


@admin.register(Follow)
class FollowAdmin(Rows):
    list_display = ("follower", "followee", "bell", "created_at")
    list_select_related = ("follower", "followee")
    search_fields = ("follower__username_folded__startswith", "followee__username_folded__startswith")
    autocomplete_fields = ("follower", "followee")
    ordering = ("-id",)
    fixed = ("follower", "followee")


@admin.register(Circle)
class CircleAdmin(Rows):
    """A circle's posts and its members' feeds refer to it: it is emptied, not deleted."""

    list_display = ("name", "slug", "owner", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name", "slug")
    autocomplete_fields = ("owner",)
    ordering = ("-id",)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(Rows):
    list_display = ("circle", "user", "created_at")
    list_select_related = ("circle", "user")
    search_fields = ("circle__slug", "user__username_folded__startswith")
    autocomplete_fields = ("circle", "user")
    ordering = ("-id",)
    fixed = ("circle", "user")


@admin.register(Block, Mute)
class AvoidanceAdmin(Rows):
    list_display = ("user", "target", "created_at")
    list_select_related = ("user", "target")
    search_fields = ("user__username_folded__startswith", "target__username_folded__startswith")
    autocomplete_fields = ("user", "target")
    ordering = ("-id",)
    fixed = ("user", "target")


@admin.register(ApiToken)
class ApiTokenAdmin(Rows):
    """A secret is shown to its owner only, so that tokens are not made here; deleting one makes it worthless."""

    list_display = ("name", "user", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username_folded__startswith")
    readonly_fields = ("user", "created_at", "last_used_at")
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(EntityCounts)
class EntityCountsAdmin(Derived):
    list_display = ("entity_type", "entity_id", "upvotes", "downvotes", "score", "comments", "hot", "controversy")
    list_filter = ("entity_type",)
    search_fields = ("=entity_id",)
    ordering = ("-id",)


@admin.register(EarlierCounts)
class EarlierCountsAdmin(EntityCountsAdmin):
    list_display = ("entity_type", "entity_id", "upvotes", "downvotes", "score", "hot", "controversy", "changed_at")


@admin.register(Uncounted)
class UncountedAdmin(Derived):
    list_display = ("event_id", "user", "entity_type", "entity_id", "upvotes", "downvotes", "comments")
    list_select_related = ("user",)
    search_fields = ("=entity_id", "user__username_folded__startswith")


@admin.register(PulledPost, SearchDocument)
class PostCopyAdmin(Derived):
    list_display = ("post_id", "post")
    list_select_related = ("post",)
    search_fields = ("=post__id",)
    ordering = ("-post",)


@admin.register(ImportedRow)
class ImportedRowAdmin(Derived):
    list_display = ("source", "kind", "external_id", "object_id")
    list_filter = ("kind",)
    search_fields = ("source__startswith", "=external_id", "=object_id")
    ordering = ("-id",)
