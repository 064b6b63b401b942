"""URLs: the paths of feeds' pages."""

from django.urls import path, register_converter

from feeds.views import (
    accounts,
    circles,
    comments,
    emails,
    factor,
    home,
    passwords,
    people,
    posts,
    search,
    second_step,
    settings,
    votes,
)


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
    path("login/code", second_step.second_step, name="second_step"),
    path("logout", accounts.Logout.as_view(), name="logout"),
    path("password/forgotten", passwords.ForgottenPassword.as_view(), name="forgotten_password"),
    path("password/forgotten/sent", passwords.LetterSent.as_view(), name="letter_sent"),
    path("password/new/<str:uidb64>/<str:token>", passwords.NewPassword.as_view(), name="new_password"),
    path("email/<id:user_id>/<str:token>", emails.confirm_email, name="confirm_email"),
    path("drafts", posts.drafts, name="drafts"),
    path("posts/new", posts.new_post, name="new_post"),
    path("posts/<id:post_id>", posts.post, name="post"),
    path("posts/<id:post_id>/edit", posts.edit_post, name="edit_post"),
    path("posts/<id:post_id>/delete", posts.delete_post, name="delete_post"),
    path("posts/<id:post_id>/restore", posts.restore_post, name="restore_post"),
    path("posts/<id:entity_id>/vote", votes.vote, {"entity_type": "post"}, name="vote_on_post"),
    path("posts/<id:post_id>/comments", comments.comments, name="comments"),
    path("comments/<id:comment_id>", comments.comment, name="comment"),
    path("comments/<id:comment_id>/edit", comments.edit_comment, name="edit_comment"),
    path("comments/<id:comment_id>/delete", comments.delete_comment, name="delete_comment"),
    path("comments/<id:comment_id>/restore", comments.restore_comment, name="restore_comment"),
    path("comments/<id:entity_id>/vote", votes.vote, {"entity_type": "comment"}, name="vote_on_comment"),
    path("circles", circles.circles, name="circles"),
    path("circles/new", circles.new_circle, name="new_circle"),
    path("circles/<str:slug>", circles.circle, name="circle"),
    path("circles/<str:slug>/membership", circles.membership, name="membership"),
    path("users/<str:username>", people.person, name="person"),
    path("users/<str:username>/ties", people.tie, name="tie"),
    path("settings", settings.settings, name="settings"),
    path("settings/account", settings.account, name="account"),
    path("settings/email", emails.send_confirmation, name="send_confirmation"),
    path("settings/factor", factor.factor, name="factor"),
    path("settings/factor/begin", factor.begin, name="begin_factor"),
    path("settings/factor/cancel", factor.cancel, name="cancel_factor"),
    path("settings/factor/on", factor.turn_on, name="turn_on_factor"),
    path("settings/factor/codes", factor.renew, name="renew_codes"),
    path("settings/factor/off", factor.turn_off, name="turn_off_factor"),
    path("settings/password", settings.password, name="password"),
    path("settings/tokens", settings.new_token, name="new_token"),
    path("settings/tokens/<id:token_id>", settings.revoke_token, name="revoke_token"),
    path("settings/sessions", settings.end_other_sessions, name="end_other_sessions"),
    path("settings/sessions/<id:session_id>", settings.end_session, name="end_session"),
    path("settings/delete", settings.leave, name="leave"),
]
