"""Search: the posts that match a query, best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from feeds.lists.pagination import PAGE_SIZE, Page, cursor_after, cursor_key, page_of
from feeds.lists.presentation import present_posts_by_id
from feeds.lists.visibility import Viewer, without_hidden
from feeds.models import Circle, Post, SearchDocument, User
from feeds.search.earlier import matches as earlier_matches
from feeds.search.query import Term, terms_of
from feeds.search.snippets import snippet

#: Only the newest matches, up to this number, are ranked; that bounds the cost of common words.
MAX_RANKED = 5_000

DOCUMENTS = SearchDocument._meta.db_table
#: SQLite's FTS5 table over the documents, and what PostgreSQL's index is made of. Migrations make both.
FTS_TABLE = "feeds_searchwords"
INDEXED_WORDS = "feeds_indexed_words(title_words, body_words, letters)"
#: A SELECT of post_id, title_words and body_words, of earlier documents, too.
TEXTS = "SELECT post_id, {}, {} FROM {}".format(
    *(
        f"CASE WHEN title = '' AND body = '' THEN {column}_words ELSE ' ' || {column} || ' ' END AS {column}_words"
        for column in ("title", "body")
    ),
    DOCUMENTS,
)


class Match(NamedTuple):
    """A post that matches. newest_id: the newest post that was ranked with it. The three are the key of the cursor."""

    rank: float
    post_id: int
    newest_id: int


def search_posts(
    query: str,
    *,
    circle: Circle | None = None,
    author: User | None = None,
    viewer: Viewer = None,
    cursor: str | None = None,
    size: int = PAGE_SIZE,
) -> Page[Post]:
    """Visible posts that match, best first: posts as in a list, each with a `snippet` (safe HTML with <mark>).

    Of more than MAX_RANKED matches only the newest are found. A query without a word to search for finds nothing.
    Raises BadCursorError.
    """
    terms = terms_of(query)
    after = None if cursor is None else Match(*cursor_key(cursor, "search", float, int, int))
    if all(term.excluded for term in terms):
        return Page(items=[])
    listed = without_hidden(Post.objects.visible(), viewer)
    if circle is not None:
        listed = listed.filter(circle=circle)
    if author is not None:
        listed = listed.of(author)
    found = page_of(
        _matches(query, terms, listed, after, limit=size + 1),
        size=size,
        cursor=lambda last: cursor_after("search", *last),
    )
    hits = present_posts_by_id([match.post_id for match in found.items], parts=("opening", "words"), viewer=viewer)
    for hit in hits:
        hit.snippet = snippet(hit.words, terms)  # type: ignore[attr-defined]
    return Page(items=hits, next_cursor=found.next_cursor)


def _matches(
    query: str, terms: Sequence[Term], listed: QuerySet[Post], after: Match | None, *, limit: int
) -> list[Match]:
    """The best matches among the listed posts, below `after`.

    1. The matches, by the index alone: without statistics PostgreSQL would look for them anew for each post.
    2. The newest MAX_RANKED of them; only of these are the texts read.
    3. Their ranks.
    4. The best of them below `after`.

    A rank depends on its own document alone, and later pages rank the posts that the first page ranked: a post written
    meanwhile changes nothing.
    """
    connection = connections[router.db_for_read(SearchDocument)]
    found = _documents(terms, vendor=connection.vendor)
    earlier = earlier_matches(query, vendor=connection.vendor)
    matches = " UNION ALL ".join(sql for sql, _ in (found, earlier) if sql)
    rank, patterns = _rank([term for term in terms if not term.excluded], vendor=connection.vendor)
    among, among_parameters = listed.filter(pk=RawSQL("found.post_id", ())).values("pk").query.sql_with_params()
    latest = f"SELECT post_id FROM found WHERE EXISTS ({among})"
    values = [*found[1], *earlier[1], *patterns, *among_parameters]
    if after is not None:
        latest, values = f"{latest} AND post_id <= %s", [*values, after.newest_id]
    latest = f"{latest} ORDER BY post_id DESC LIMIT {MAX_RANKED}"
    once = "AS MATERIALIZED" if connection.vendor == "postgresql" else "AS"
    sql = f"SELECT post_id, max(post_id) OVER () AS newest FROM ({latest}) AS newest_first"
    sql = f"SELECT {rank} AS rank, post_id, newest FROM ({sql}) AS latest JOIN ({TEXTS}) AS texts USING (post_id)"
    sql = f"WITH found {once} ({matches}) SELECT rank, post_id, newest FROM ({sql}) AS ranked"
    if after is not None:
        sql, values = f"{sql} WHERE (rank, post_id) < (%s, %s)", [*values, after.rank, after.post_id]
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} ORDER BY rank DESC, post_id DESC LIMIT %s", [*values, limit])
        return [Match(*row) for row in cursor.fetchall()]


def _documents(terms: Sequence[Term], *, vendor: str) -> tuple[str, list[Any]]:
    """A SELECT of the ids of the documents that match, and its parameters."""
    condition, parameters = (_on_postgresql if vendor == "postgresql" else _on_sqlite)(terms)
    return f"SELECT post_id FROM {DOCUMENTS} WHERE title = '' AND body = '' AND {condition}", parameters


def _on_postgresql(terms: Sequence[Term]) -> tuple[str, list[Any]]:
    """The index says which documents have all words; that they are adjacent, or absent, is looked up in the text.

    A tsvector would know positions, but only the first 16,383 of a text.
    """
    wanted = [word for term in terms if not term.excluded for word in term.words]
    condition, parameters = f"{INDEXED_WORDS} @> %s::text[]", list[Any]([wanted])
    for term in terms:
        if term.excluded or len(term.words) > 1:
            occurs = "(strpos(title_words, %s) > 0 OR strpos(body_words, %s) > 0)"
            condition += f" AND {'NOT ' if term.excluded else ''}{occurs}"
            parameters += [term.pattern, term.pattern]
    return condition, parameters


def _on_sqlite(terms: Sequence[Term]) -> tuple[str, list[Any]]:
    wanted = " AND ".join(_fts5(term) for term in terms if not term.excluded)
    unwanted = "".join(f" NOT {_fts5(term)}" for term in terms if term.excluded)
    return f"post_id IN (SELECT rowid FROM {FTS_TABLE}(%s))", [f"({wanted}){unwanted}"]


def _fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + ("*" if term.opening else "")


def _rank(terms: Sequence[Term], *, vendor: str) -> tuple[str, list[str]]:
    """An expression over title_words and body_words, the same on both databases, and its parameters.

    A title outweighs any body, and a long document has a lower rank.
    """
    # PostgreSQL knows the bytes of a text, but counts its characters each time.
    size_of, size_in = ("octet_length", _bytes) if vendor == "postgresql" else ("length", len)
    counts = {
        column: " + ".join(
            f"({size_of}({column}) - {size_of}(replace({column}, %s, ''))) / {size_in(term.pattern)}" for term in terms
        )
        for column in ("title_words", "body_words")
    }
    # Of n occurrences n / (n + 1), written so that they are counted once.
    shares = (f"(1 - 1 / (1 + CAST({count} AS double precision)))" for count in counts.values())
    size = "CAST(length(title_words) + length(body_words) + 1 AS double precision)"
    title, body = shares
    patterns = [term.pattern for term in terms]
    return f"({title} + 0.4e0 * {body}) / (1 + ln({size}))", patterns * 2


def _bytes(text: str) -> int:
    return len(text.encode())
