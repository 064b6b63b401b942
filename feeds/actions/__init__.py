"""Actions: everything a user can do, one verb and one transaction each.

The acting user is the first argument, all others are keywords. A row is named as in its URL: a post by id, a user by
name, a circle by slug. A refused action raises one of feeds.errors. The API, the pages and the demo write with these.
Runs in web processes. Writes the tables of users, posts, comments, votes, follows, circles, blocks and tokens.
"""

from feeds.actions.accounts import AccountChanges, change_account, delete_account, register
from feeds.actions.blocks import block, mute, unblock, unmute
from feeds.actions.circles import create_circle, join, leave
from feeds.actions.comments import comment, delete_comment, edit_comment
from feeds.actions.confirmation import confirm_password
from feeds.actions.emails import confirm_email, request_confirmation, user_of_email_token
from feeds.actions.factor import has_factor, pass_factor, renew_recovery_codes, turn_off_factor, turn_on_factor
from feeds.actions.follows import follow, set_bell, unfollow
from feeds.actions.moderation import restore_comment, restore_post
from feeds.actions.once import Done, SentBeforeError, once
from feeds.actions.passwords import request_password_reset, reset_password
from feeds.actions.posts import PostChanges, create_post, delete_post, edit_post, publish_post
from feeds.actions.sessions import end_other_sessions, end_session
from feeds.actions.tokens import create_token, mark_used, revoke_token, token_of_secret
from feeds.actions.votes import retract_vote, vote

__all__ = [
    "AccountChanges",
    "Done",
    "PostChanges",
    "SentBeforeError",
    "block",
    "change_account",
    "comment",
    "confirm_email",
    "confirm_password",
    "create_circle",
    "create_post",
    "create_token",
    "delete_account",
    "delete_comment",
    "delete_post",
    "edit_comment",
    "edit_post",
    "end_other_sessions",
    "end_session",
    "follow",
    "has_factor",
    "join",
    "leave",
    "mark_used",
    "mute",
    "once",
    "pass_factor",
    "publish_post",
    "register",
    "renew_recovery_codes",
    "request_confirmation",
    "request_password_reset",
    "reset_password",
    "restore_comment",
    "restore_post",
    "retract_vote",
    "revoke_token",
    "set_bell",
    "token_of_secret",
    "turn_off_factor",
    "turn_on_factor",
    "unblock",
    "unfollow",
    "unmute",
    "user_of_email_token",
    "vote",
]
