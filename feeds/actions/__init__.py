"""Actions: everything a user can do, one verb and one transaction each.

The acting user is the first argument, all others are keywords. A row is named as in its URL: a post by id, a user by
name, a circle by slug. A refused action raises one of feeds.errors. The API, the pages and the demo write with these.
Runs in web processes. Writes the tables of users, posts, comments, votes, follows, circles, blocks and tokens.
"""

from feeds.actions.accounts import AccountChanges, change_account, delete_account, register
from feeds.actions.blocks import block, mute, unblock, unmute
from feeds.actions.circles import create_circle, join, leave
from feeds.actions.comments import comment, delete_comment, edit_comment
from feeds.actions.follows import follow, set_bell, unfollow
from feeds.actions.posts import PostChanges, create_post, delete_post, edit_post, publish_post
from feeds.actions.tokens import create_token, revoke_token, user_of_token
from feeds.actions.votes import retract_vote, vote

__all__ = [
    "AccountChanges",
    "PostChanges",
    "block",
    "change_account",
    "comment",
    "create_circle",
    "create_post",
    "create_token",
    "delete_account",
    "delete_comment",
    "delete_post",
    "edit_comment",
    "edit_post",
    "follow",
    "join",
    "leave",
    "mute",
    "publish_post",
    "register",
    "retract_vote",
    "revoke_token",
    "set_bell",
    "unblock",
    "unfollow",
    "unmute",
    "user_of_token",
    "vote",
]
