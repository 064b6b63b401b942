"""FeedData: readers with full feeds, authors with ranked posts, one author whom everyone follows; all made in SQL."""

from __future__ import annotations

from dataclasses import dataclass

#: Authors that each reader follows.
FOLLOWED = 40
#: Posts of each author.
POSTS = 100
#: Newest posts of each followed author in a reader's feed.
FEED_POSTS = 10

#: Readers follow authors at even distances, so that all authors have about the same number of readers. The n-th newest
#: posts of all authors are about equally old.
STATEMENTS = """
    SET session_replication_role = replica; -- no foreign key is checked row by row
    INSERT INTO feeds_user (
        id, password, is_superuser, email, is_staff, is_active, date_joined, username, username_folded, last_seen_at
    )
    SELECT id, '', false, '', false, true, now(), 'user' || id, 'user' || id, now()
    FROM generate_series(1, {users} + 2) AS id;
    SELECT setval(pg_get_serial_sequence('feeds_user', 'id'), {users} + 2);

    INSERT INTO feeds_post (id, author_id, title, body, status, created_at, published_at, updated_at)
    SELECT place * {authors} + author + 1, {readers} + 1 + author, 'A title', repeat('Some words. ', 10), 'published',
        moment, moment, moment
    FROM generate_series(0, {POSTS} - 1) AS place CROSS JOIN generate_series(0, {authors} - 1) AS author,
        LATERAL (SELECT now() - interval '30 days' + (place * {authors} + author) * interval '1 second') AS at (moment);
    SELECT setval(pg_get_serial_sequence('feeds_post', 'id'), {POSTS} * {authors} + 1);

    INSERT INTO entity_counts (entity_type, entity_id, upvotes, downvotes, score, comments, controversy, hot)
    SELECT 'post', id, up, 0, up, 0, 0, log(greatest(up, 1)) + (extract(epoch FROM published_at) - 1134028003) / 45000
    FROM feeds_post, LATERAL (SELECT (id * 7919 % 1000)::int) AS votes (up);

    INSERT INTO feeds_follow (follower_id, followee_id, created_at)
    SELECT reader, {readers} + 1 + (reader * 37 + n * {authors} / {FOLLOWED}) % {authors}, now()
    FROM generate_series(1, {readers}) AS reader, generate_series(0, {FOLLOWED} - 1) AS n
    UNION ALL
    SELECT id, {popular_author}, now() FROM generate_series(1, {users}) AS id;

    INSERT INTO feeds_feedentry (user_id, published_at, post_id, author_id)
    SELECT reader, published_at, post.id, author_id
    FROM generate_series(1, {readers}) AS reader
    CROSS JOIN generate_series({POSTS} - {FEED_POSTS}, {POSTS} - 1) AS place
    CROSS JOIN generate_series(0, {FOLLOWED} - 1) AS n
    JOIN feeds_post AS post
        ON post.id = place * {authors} + (reader * 37 + n * {authors} / {FOLLOWED}) % {authors} + 1
    ORDER BY reader, published_at;
    RESET session_replication_role
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedData:
    """The sizes. By id, the first users are readers, the next authors; the rest follow the popular author only."""

    readers: int
    users: int
    authors: int = 4_000

    @property
    def popular_author(self) -> int:
        """The id of the author whom all users follow."""
        return self.users + 1

    @property
    def measured_author(self) -> int:
        """The id of the author whose followers `follow` sets."""
        return self.users + 2

    def insert(self) -> None:
        """Fill the empty tables."""
        from django.db import connection

        numbers = {name: getattr(self, name) for name in ("readers", "users", "authors", "popular_author")}
        with connection.cursor() as cursor:
            for statement in STATEMENTS.format(**numbers, FOLLOWED=FOLLOWED, POSTS=POSTS, FEED_POSTS=FEED_POSTS).split(
                ";"
            ):
                cursor.execute(statement)
            cursor.execute("VACUUM ANALYZE")

    def follow(self, followers: int) -> None:
        """Let that many readers, evenly spread, follow the measured author."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO feeds_follow (follower_id, followee_id, created_at)"
                " SELECT n * %s / %s, %s, now() FROM generate_series(1, %s) AS n",
                [self.readers, followers, self.measured_author, followers],
            )
            cursor.execute("VACUUM ANALYZE feeds_follow")
