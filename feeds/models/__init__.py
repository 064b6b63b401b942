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
from feeds.models.posts import Post
from feeds.models.pulled_posts import PulledPost
from feeds.models.search_documents import SearchDocument
from feeds.models.tokens import ApiToken
from feeds.models.users import User
from feeds.models.votes import Vote

__all__ = [
    "ApiToken",
    "Block",
    "Circle",
    "Comment",
    "EarlierCounts",
    "Entity",
    "EntityCounts",
    "FeedEntry",
    "Follow",
    "ImportedRow",
    "Membership",
    "Mute",
    "Post",
    "PulledPost",
    "SearchDocument",
    "Uncounted",
    "User",
    "Vote",
]
