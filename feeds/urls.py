"""URLs: the paths of feeds' pages."""

from django.urls import path, register_converter

from feeds.views import accounts, circles, comments, home, people, posts, search, settings, votes


class RowId:
    """A converter for the id of a row: up to 18 digits, which a BigIntegerField holds."""

    regex = "[0-9]{1,18}"
    to_python = int
    to_url = str


register_converter(RowId, "id")

app_name = "feeds"
urlpatterns = [
    path("", home.home, name="home"),
    path("search", search.search, name="search"),
    path("register", accounts.register, name="register"),
    path("login", accounts.Login.as_view(), name="login"),
    path("logout", accounts.Logout.as_view(), name="logout"),
    path("drafts", posts.drafts, name="drafts"),
    path("posts/new", posts.new_post, name="new_post"),
    path("posts/<id:post_id>", posts.post, name="post"),
    path("posts/<id:post_id>/edit", posts.edit_post, name="edit_post"),
    path("posts/<id:post_id>/delete", posts.delete_post, name="delete_post"),
    path("posts/<id:entity_id>/vote", votes.vote, {"entity_type": "post"}, name="vote_on_post"),
    path("posts/<id:post_id>/comments", comments.comments, name="comments"),
    path("comments/<id:comment_id>", comments.comment, name="comment"),
    path("comments/<id:comment_id>/edit", comments.edit_comment, name="edit_comment"),
    path("comments/<id:comment_id>/delete", comments.delete_comment, name="delete_comment"),
    path("comments/<id:entity_id>/vote", votes.vote, {"entity_type": "comment"}, name="vote_on_comment"),
    path("circles", circles.circles, name="circles"),
    path("circles/new", circles.new_circle, name="new_circle"),
    path("circles/<str:slug>", circles.circle, name="circle"),
    path("circles/<str:slug>/membership", circles.membership, name="membership"),
    path("users/<str:username>", people.person, name="person"),
    path("users/<str:username>/ties", people.tie, name="tie"),
    path("settings", settings.settings, name="settings"),
    path("settings/account", settings.account, name="account"),
    path("settings/password", settings.password, name="password"),
    path("settings/tokens", settings.new_token, name="new_token"),
    path("settings/tokens/<id:token_id>", settings.revoke_token, name="revoke_token"),
    path("settings/delete", settings.leave, name="leave"),
]
