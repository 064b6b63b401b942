"""Search: the posts that match a query, best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connections, router
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from feeds.lists.pagination import PAGE_SIZE, Page, cursor_after, cursor_key, page_of
from feeds.lists.presentation import present_posts_by_id
from feeds.lists.visibility import Viewer, without_hidden
from feeds.models import Circle, Post, SearchDocument, User
from feeds.search.query import Term, terms_of
from feeds.search.snippets import snippet
from feeds.text.markdown import plain

#: Only the newest matches, up to this number, are ranked; that bounds the cost of common words.
MAX_RANKED = 5_000

DOCUMENTS = SearchDocument._meta.db_table
#: SQLite's FTS5 table over the documents, made by a migration.
FTS_TABLE = "feeds_searchtext"


class Match(NamedTuple):
    """A post that matches. newest_id: the newest post that was ranked with it. The three are the key of the cursor."""

    rank: float
    post_id: int
    newest_id: int


class MatchSql(NamedTuple):
    """How a database finds posts.

    matches: a SELECT of post_id and of what `rank` needs, with `parameters`. rank: an expression over its columns.
    """

    matches: str
    rank: str
    parameters: tuple[str, ...]


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
        _matches(terms, listed, after, limit=size + 1), size=size, cursor=lambda last: cursor_after("search", *last)
    )
    hits = present_posts_by_id([match.post_id for match in found.items], viewer=viewer)
    for hit in hits:
        hit.snippet = snippet(plain(hit.body), terms)  # type: ignore[attr-defined]
    return Page(items=hits, next_cursor=found.next_cursor)


def _matches(terms: Sequence[Term], listed: QuerySet[Post], after: Match | None, *, limit: int) -> list[Match]:
    """The best matches among the listed posts, below `after`.

    1. The newest MAX_RANKED matches.
    2. Their ranks.
    3. The best of them below `after`.

    A rank depends on its own document alone, and later pages rank the posts that the first page ranked: a post written
    meanwhile changes nothing.
    """
    connection = connections[router.db_for_read(SearchDocument)]
    matches, rank, parameters = (_on_postgresql if connection.vendor == "postgresql" else _on_sqlite)(terms)
    among, among_parameters = listed.filter(pk=RawSQL("found.post_id", ())).values("pk").query.sql_with_params()
    sql, values = f"SELECT * FROM ({matches}) AS found WHERE EXISTS ({among})", [*parameters, *among_parameters]
    if after is not None:
        sql, values = f"{sql} AND post_id <= %s", [*values, after.newest_id]
    sql = f"{sql} ORDER BY post_id DESC LIMIT {MAX_RANKED}"
    sql = f"SELECT {rank} AS rank, post_id, max(post_id) OVER () AS newest FROM ({sql}) AS latest"
    sql = f"SELECT rank, post_id, newest FROM ({sql}) AS ranked"
    if after is not None:
        sql, values = f"{sql} WHERE (rank, post_id) < (%s, %s)", [*values, after.rank, after.post_id]
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} ORDER BY rank DESC, post_id DESC LIMIT %s", [*values, limit])
        return [Match(*row) for row in cursor.fetchall()]


def _on_postgresql(terms: Sequence[Term]) -> MatchSql:
    # The words are letters and digits only, so PostgreSQL cannot read them as operators.
    wanted = " && ".join(_tsquery(term) for term in terms if not term.excluded)
    unwanted = "".join(f" && !!{_tsquery(term)}" for term in terms if term.excluded)
    # If all wanted words are stop words, nothing is wanted and every post without an unwanted word would match.
    matches = f"""
        SELECT post_id, tsv, asked
        FROM {DOCUMENTS}, (
            SELECT wanted{unwanted} AS asked FROM (SELECT {wanted} AS wanted) AS part WHERE numnode(wanted) > 0
        ) AS query WHERE tsv @@ asked
    """
    ordered = sorted(terms, key=lambda term: not term.excluded)
    words = (f"{term.words[0]}:*" if term.opening else " ".join(term.words) for term in ordered)
    return MatchSql(matches, "ts_rank(tsv, asked, 1)::float8", tuple(words))


def _tsquery(term: Term) -> str:
    return "to_tsquery('simple', %s)" if term.opening else "phraseto_tsquery('english', %s)"


def _on_sqlite(terms: Sequence[Term]) -> MatchSql:
    """Ranked like PostgreSQL: a title outweighs any body, a long document has a lower rank.

    FTS5's own bm25 is not used: that of one document changes with every other document.
    """
    wanted = " AND ".join(_fts5(term) for term in terms if not term.excluded)
    unwanted = "".join(f" NOT {_fts5(term)}" for term in terms if term.excluded)
    matches = f"""
        SELECT rowid AS post_id,
               length(highlight({FTS_TABLE}, 0, '.', '')) - length(title) AS in_title,
               length(highlight({FTS_TABLE}, 1, '.', '')) - length(body) AS in_body,
               length(title) + length(body) AS size
        FROM {FTS_TABLE} WHERE {FTS_TABLE} MATCH %s
    """
    rank = "(in_title / (in_title + 1.0) + 0.4 * in_body / (in_body + 1.0)) / (1 + ln(size + 1))"
    return MatchSql(matches, rank, (f"({wanted}){unwanted}",))


def _fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + ("*" if term.opening else "")
