"""Models: the tables of feeds, one noun per file, and the queries on them as QuerySets.

Saving or deleting a row emits its events (`feeds.signals`) in the same transaction, in whatever process does it.
"""

from feeds.models.blocks import Block, Mute
from feeds.models.circles import Circle, Membership
from feeds.models.comments import Comment
from feeds.models.counts import EarlierCounts, EntityCounts, Uncounted
from feeds.models.entities import Entity
from feeds.models.feed_entries import FeedEntry
from feeds.models.follows import Follow
from feeds.models.imported_rows import ImportedRow
from feeds.models.looks import CircleLook, UserLook
from feeds.models.posts import Post
from feeds.models.pulled_posts import PulledPost
from feeds.models.reserved_names import ReservedName
from feeds.models.search_documents import SearchDocument
from feeds.models.second_factors import RecoveryCode, SecondFactor
from feeds.models.sent_forms import SentForm
from feeds.models.texts import CommentText, PostText, StoredText
from feeds.models.tokens import ApiToken, Scope
from feeds.models.user_sessions import UserSession
from feeds.models.users import User
from feeds.models.votes import Vote
from feeds.models.writing import Writing

__all__ = [
    "ApiToken",
    "Block",
    "Circle",
    "CircleLook",
    "Comment",
    "CommentText",
    "EarlierCounts",
    "Entity",
    "EntityCounts",
    "FeedEntry",
    "Follow",
    "ImportedRow",
    "Membership",
    "Mute",
    "Post",
    "PostText",
    "PulledPost",
    "RecoveryCode",
    "ReservedName",
    "Scope",
    "SearchDocument",
    "SecondFactor",
    "SentForm",
    "StoredText",
    "Uncounted",
    "User",
    "UserLook",
    "UserSession",
    "Vote",
    "Writing",
]
