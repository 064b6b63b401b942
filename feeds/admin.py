"""Admin: the pages of all models of feeds. A change is saved through the model, so its events are emitted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as AuthUserAdmin
from django.db import connections, models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.db import committed
from feeds.models import (
    ApiToken,
    Block,
    Circle,
    CircleLook,
    Comment,
    CommentText,
    EarlierCounts,
    EntityCounts,
    FeedEntry,
    Follow,
    ImportedRow,
    Membership,
    Mute,
    Post,
    PostText,
    PulledPost,
    RecoveryCode,
    ReservedName,
    SearchDocument,
    SecondFactor,
    SentForm,
    Uncounted,
    User,
    UserLook,
    UserSession,
    Vote,
)

#: Feed entries shown on the page of a user.
FEED_ENTRIES_SHOWN = 50


class RowAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A large table: no second count of all rows. fixed: the fields that cannot change after a row was added."""

    show_full_result_count = False
    fixed: tuple[str, ...] = ()

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        return (*super().get_readonly_fields(request, obj), *(self.fixed if obj else ()))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row, locked before it is changed: saving it after another user deleted it would restore it."""
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not connections[row._state.db].in_atomic_block:
            return row
        return self.model._base_manager.using(row._state.db).select_for_update(no_key=True).filter(pk=row.pk).first()

    def get_search_results(self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str) -> Any:
        """Search by case-folded names."""
        return super().get_search_results(request, queryset, search_term.casefold())


class SoftDeletedAdmin(RowAdmin):
    """Rows that are deleted softly: no related row is deleted with them."""

    def get_deleted_objects(self, objs: Iterable[models.Model], request: HttpRequest) -> Any:
        names = [str(one) for one in objs]
        refused = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return names, {self.opts.verbose_name_plural: len(names)}, refused, []


class ReadOnlyAdmin(RowAdmin):
    """Rows that subscribers write: to look at only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(SoftDeletedAdmin, AuthUserAdmin):  # type: ignore[type-arg]
    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_seen_at")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username_folded__startswith", "email__istartswith")
    ordering = ("-id",)
    readonly_fields = ("last_login", "date_joined", "last_seen_at", "feed")
    fieldsets = (
        (None, {"fields": ("username", "password", "email", "confirmed_email")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Dates"), {"fields": ("date_joined", "last_login", "last_seen_at")}),
        (_("Feed"), {"fields": ("feed",)}),
    )

    @admin.display(description=_("feed entries"))
    def feed(self, user: User) -> str:
        """The newest entries, as links to their posts: the admin has no pages for rows with a composite key."""
        entries = (
            FeedEntry.objects.filter(user=user).order_by("-published_at", "-post").values_list("post_id", "post__title")
        )
        lines = [
            (reverse("admin:feeds_post_change", args=[post_id]), title)
            for post_id, title in entries[:FEED_ENTRIES_SHOWN]
        ]
        return format_html_join("", '<div><a href="{}">{}</a></div>', lines) or self.get_empty_value_display()


class TextAdmin(SoftDeletedAdmin):
    """Posts and comments: deleting one here is a moderator's removal, which can be taken back for 30 days."""

    actions = ("restore",)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        obj.remove(by=request.user)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        with committed():
            for row in queryset.filter(deleted_at=None).order_by("pk"):
                row.remove(by=request.user)

    @admin.action(description=_("Restore what was removed"), permissions=["delete"])
    def restore(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """Show the chosen rows again that a moderator removed."""
        with committed():
            rows = [row for row in queryset.order_by("pk").select_for_update(of=("self",)) if row.is_restorable]
            for row in rows:
                row.restore(by=request.user)
                self.log_change(request, row, "restored")
        self.message_user(request, _("Restored: %(count)s.") % {"count": len(rows)})


#: What the pages of posts and comments show of a removal.
REMOVAL = ("deleted_at", "removed_by", "removal_reason", "erased_at")


@admin.register(Post)
class PostAdmin(TextAdmin):
    list_display = ("title", "author", "circle", "status", "published_at", "deleted_at")
    list_filter = ("status", ("deleted_at", admin.EmptyFieldListFilter), "published_at")
    list_select_related = ("author", "circle")
    search_fields = ("title", "author__username_folded__startswith")
    autocomplete_fields = ("author", "circle")
    readonly_fields = ("created_at", "published_at", "updated_at", *REMOVAL)
    ordering = ("-id",)
    fixed = ("author",)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "status") if isinstance(obj, Post) and obj.published_at else fields


@admin.register(Comment)
class CommentAdmin(TextAdmin):
    list_display = ("__str__", "author", "post", "created_at", "deleted_at")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("author", "post")
    search_fields = ("content", "author__username_folded__startswith")
    autocomplete_fields = ("author", "post", "parent")
    readonly_fields = ("created_at", "updated_at", *REMOVAL)
    ordering = ("-id",)
    fixed = ("author", "post", "parent")


@admin.register(Vote)
class VoteAdmin(RowAdmin):
    list_display = ("user", "vote_type", "entity_type", "entity_id", "updated_at")
    list_filter = ("vote_type", "entity_type")
    list_select_related = ("user",)
    search_fields = ("user__username_folded__startswith", "=entity_id")
    autocomplete_fields = ("user",)
    ordering = ("-id",)
    fixed = ("user", "entity_type", "entity_id")


@admin.register(Follow)
class FollowAdmin(RowAdmin):
    list_display = ("follower", "followee", "bell", "created_at")
    list_select_related = ("follower", "followee")
    search_fields = ("follower__username_folded__startswith", "followee__username_folded__startswith")
    autocomplete_fields = ("follower", "followee")
    ordering = ("-id",)
    fixed = ("follower", "followee")


@admin.register(Circle)
class CircleAdmin(RowAdmin):
    """A circle is never deleted, since posts refer to it."""

    list_display = ("name", "slug", "owner", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name", "slug")
    autocomplete_fields = ("owner",)
    ordering = ("-id",)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(RowAdmin):
    list_display = ("circle", "user", "created_at")
    list_select_related = ("circle", "user")
    search_fields = ("circle__slug", "user__username_folded__startswith")
    autocomplete_fields = ("circle", "user")
    ordering = ("-id",)
    fixed = ("circle", "user")


@admin.register(Block, Mute)
class AvoidanceAdmin(RowAdmin):
    list_display = ("user", "target", "created_at")
    list_select_related = ("user", "target")
    search_fields = ("user__username_folded__startswith", "target__username_folded__startswith")
    autocomplete_fields = ("user", "target")
    ordering = ("-id",)
    fixed = ("user", "target")


@admin.register(ApiToken)
class ApiTokenAdmin(RowAdmin):
    """Tokens are not made here, since only the owner may see the secret. Deleting a token revokes it."""

    list_display = ("name", "user", "rights", "expires_at", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username_folded__startswith")
    readonly_fields = ("user", "rights", "expires_at", "created_at", "last_used_at")
    ordering = ("-id",)

    @admin.display(description=_("scopes"))
    def rights(self, token: ApiToken) -> str:
        """The scopes in words."""
        return ", ".join(str(scope.label) for scope in token.scope_list) or gettext("all, made before scopes")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(UserSession)
class UserSessionAdmin(RowAdmin):
    """Deleting a session signs its user out of it."""

    list_display = ("user", "browser", "network", "created_at", "last_seen_at")
    list_select_related = ("user",)
    search_fields = ("user__username_folded__startswith",)
    readonly_fields = list_display
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: UserSession) -> None:
        UserSession.objects.filter(pk=obj.pk).end()

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[UserSession]) -> None:
        UserSession.objects.filter(pk__in=queryset).end()


@admin.register(SecondFactor)
class SecondFactorAdmin(ReadOnlyAdmin):
    """Deleting one turns it off, for a person who has lost app and recovery codes; the admin's history says who did."""

    list_display = ("user", "created_at", "failures", "failed_at")
    list_select_related = ("user",)
    search_fields = ("user__username_folded__startswith",)
    readonly_fields = ("user", "created_at", "failures", "failed_at")
    ordering = ("-id",)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return request.user.is_active and request.user.is_superuser

    def get_deleted_objects(self, objs: Iterable[models.Model], request: HttpRequest) -> Any:
        names = [str(one) for one in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []


@admin.register(RecoveryCode)
class RecoveryCodeAdmin(ReadOnlyAdmin):
    list_display = ("id", "factor")
    list_select_related = ("factor__user",)
    search_fields = ("factor__user__username_folded__startswith",)
    ordering = ("-id",)


@admin.register(EntityCounts)
class EntityCountsAdmin(ReadOnlyAdmin):
    list_display = ("entity_type", "entity_id", "upvotes", "downvotes", "score", "comments", "hot", "controversy")
    list_filter = ("entity_type",)
    search_fields = ("=entity_id",)
    ordering = ("-id",)


@admin.register(EarlierCounts)
class EarlierCountsAdmin(EntityCountsAdmin):
    list_display = ("entity_type", "entity_id", "upvotes", "downvotes", "score", "hot", "controversy", "changed_at")


@admin.register(Uncounted)
class UncountedAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "user", "entity_type", "entity_id", "upvotes", "downvotes", "comments")
    list_select_related = ("user",)
    search_fields = ("=entity_id", "user__username_folded__startswith")


@admin.register(PulledPost, SearchDocument, PostText)
class PostCopyAdmin(ReadOnlyAdmin):
    list_display = ("post_id", "post")
    list_select_related = ("post",)
    search_fields = ("=post__id",)
    ordering = ("-post",)


@admin.register(CommentText)
class CommentTextAdmin(ReadOnlyAdmin):
    list_display = ("comment_id", "comment")
    list_select_related = ("comment",)
    search_fields = ("=comment__id",)
    ordering = ("-comment",)


@admin.register(ReservedName)
class ReservedNameAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "user", "created_at")
    list_select_related = ("user",)
    search_fields = ("=digest", "user__username_folded__startswith")
    ordering = ("-id",)


@admin.register(UserLook, CircleLook)
class LookAdmin(ReadOnlyAdmin):
    list_display = ("look", "holder")
    list_select_related = ("holder",)
    search_fields = ("look__startswith",)
    ordering = ("-id",)


@admin.register(SentForm)
class SentFormAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "user", "sent_at")
    list_select_related = ("user",)
    search_fields = ("=key", "user__username_folded__startswith")
    ordering = ("-id",)


@admin.register(ImportedRow)
class ImportedRowAdmin(ReadOnlyAdmin):
    list_display = ("source", "kind", "external_id", "object_id")
    list_filter = ("kind",)
    search_fields = ("source__startswith", "=external_id", "=object_id")
    ordering = ("-id",)
