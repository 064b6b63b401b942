"""Content: users, posts, comments and votes with their events, written in SQL on the tables of the previous release.

The events are suppressed: nothing is owed for them.
"""

from __future__ import annotations

from tests.support.servers.postgres import Cluster

#: Posts of one user.
POSTS_EACH = 10

STATEMENTS = """
    SET session_replication_role = replica; -- no foreign key is checked row by row
    INSERT INTO feeds_user (id, password, is_superuser, email, is_staff, is_active, date_joined, username,
        username_folded, last_seen_at)
    SELECT id, '', false, CASE id % 2 WHEN 0 THEN 'Seed' || id || '@airy.example' ELSE '' END, false, true, now(),
        'seed' || id, 'seed' || id, now()
    FROM generate_series(1, {users}) AS id;

    INSERT INTO feeds_post (id, author_id, title, body, status, created_at, published_at, updated_at)
    SELECT id, 1 + id % {users}, 'Seed ' || id, 'Some *words* of number ' || id || repeat(', and more', 10),
        'published', moment, moment, moment
    FROM generate_series(1, {posts}) AS id,
        LATERAL (SELECT now() - interval '30 days' + id * interval '1 second') AS at (moment);
    INSERT INTO feeds_searchdocument (post_id, title, body)
    SELECT id, lower(title), 'some words of number ' || id || repeat(' and more', 10) FROM feeds_post;

    INSERT INTO feeds_comment (id, post_id, author_id, content, created_at, updated_at)
    SELECT id, 1 + id % {posts}, 1 + id % {users}, 'A **comment** of seed' || id, now(), now()
    FROM generate_series(1, {comments}) AS id;

    INSERT INTO feeds_vote (id, user_id, entity_type, entity_id, vote_type, created_at, updated_at)
    SELECT id, user_id, 'post', 1 + (id / {users} + user_id * 13) % {posts}, 'up', now(), now()
    FROM generate_series(1, {votes}) AS id, LATERAL (SELECT 1 + id % {users}) AS voter (user_id);

    INSERT INTO entity_counts (entity_type, entity_id, upvotes, downvotes, score, comments, controversy, hot)
    SELECT 'post', id, up, 0, up, comments, 0,
        round((log(greatest(up, 1)) + (extract(epoch FROM published_at) - 1134028003) / 45000) * 1e7) / 1e7
    FROM feeds_post
    JOIN LATERAL (SELECT count(*) FROM feeds_vote WHERE entity_type = 'post' AND entity_id = feeds_post.id) AS v (up)
        ON true
    JOIN LATERAL (SELECT count(*) FROM feeds_comment WHERE post_id = feeds_post.id) AS c (comments) ON true;
    INSERT INTO entity_counts (entity_type, entity_id, upvotes, downvotes, score, comments, controversy, hot)
    SELECT 'comment', id, 0, 0, 0, 0, 0, 0 FROM feeds_comment;

    INSERT INTO events_storedevent (event_id, topic, version, source, subject, time, data, correlation_id, traceparent,
        suppressed)
    SELECT gen_random_uuid(), topic, 1, '/airy', subject, now(), data, gen_random_uuid(), '', 'content' FROM (
        SELECT 1, id, 'user.registered', 'user/' || id, jsonb_build_object('user_id', id, 'username', username)
        FROM feeds_user
        UNION ALL
        SELECT 2, id, 'post.published', 'post/' || id, jsonb_build_object(
            'post_id', id, 'author_id', author_id, 'circle_id', circle_id, 'title', title)
        FROM feeds_post
        UNION ALL
        SELECT 3, id, 'comment.created', 'comment/' || id, jsonb_build_object(
            'comment_id', id, 'post_id', post_id, 'author_id', author_id, 'parent_id', parent_id, 'content', content)
        FROM feeds_comment
        UNION ALL
        SELECT 4, id, 'vote.created', 'post/' || entity_id, jsonb_build_object(
            'vote_id', id, 'user_id', user_id, 'entity_type', entity_type, 'entity_id', entity_id,
            'vote_type', vote_type)
        FROM feeds_vote
    ) AS happened (step, id, topic, subject, data) ORDER BY step, id;

    SELECT setval(pg_get_serial_sequence(name, 'id'), 10000000)
    FROM unnest(ARRAY['feeds_user', 'feeds_post', 'feeds_comment', 'feeds_vote']) AS name;
    RESET session_replication_role;
    ANALYZE
"""


def write_content(cluster: Cluster, *, posts: int) -> None:
    """Fill the empty tables: for each post two comments and two votes, for ten posts one user."""
    sizes = {"posts": posts, "users": posts // POSTS_EACH, "comments": 2 * posts, "votes": 2 * posts}
    for statement in STATEMENTS.format(**sizes).split(";"):
        cluster.ask(statement)
