"""Search: find posts by their words, on PostgreSQL's full text or SQLite's FTS5."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from feeds.lists.pagination import SIZE, Page, cursor_after, key_of, page_of
from feeds.lists.presentation import present_posts_by_id
from feeds.lists.visibility import Viewer, without_hidden
from feeds.models import Circle, Post, SearchDocument, User
from feeds.search.query import Term, indexed, terms_of
from feeds.search.snippets import snippet
from feeds.text.markdown import plain

#: Of so many matches, the newest, the best are sought: a word that most posts have costs no more than this.
RANKED = 5_000


@transaction.atomic
def index_posts(ids: Iterable[int]) -> None:
    """Bring these posts up to date in the index: visible ones in, all others out.

    The posts are locked meanwhile, so that of two who index one post the later writes what is newer.
    """
    wanted = sorted(set(ids))
    posts = Post.objects.visible().filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    documents = [
        SearchDocument(post_id=post.pk, title=indexed(post.title), body=indexed(plain(post.body))) for post in posts
    ]
    SearchDocument.objects.bulk_create(
        documents, update_conflicts=True, unique_fields=["post"], update_fields=["title", "body"]
    )
    remove(set(wanted) - {document.post_id for document in documents})


def remove(ids: Iterable[int]) -> None:
    """Take these posts out of the index."""
    SearchDocument.objects.filter(post__in=set(ids)).delete()


def search(
    query: str,
    *,
    circle: Circle | None = None,
    author: User | None = None,
    viewer: Viewer = None,
    cursor: str | None = None,
    size: int = SIZE,
) -> Page[Post]:
    """Visible posts that match, best first: posts as in a list, each with a `snippet` (safe HTML with <mark>).

    Of more than RANKED matches only the newest are found. A query with nothing to search for finds nothing. Raises
    BadCursorError.
    """
    terms = terms_of(query)
    key = None if cursor is None else key_of(cursor, "search", float, int, int)
    if all(term.excluded for term in terms):
        return Page(items=[])
    listed = without_hidden(Post.objects.visible(), viewer)
    if circle is not None:
        listed = listed.filter(circle=circle)
    if author is not None:
        listed = listed.of(author)
    found = page_of(
        _matches(terms, listed, key, limit=size + 1), size=size, cursor=lambda last: cursor_after("search", *last)
    )
    hits = present_posts_by_id([post_id for _, post_id, _ in found.items], viewer=viewer)
    for hit in hits:
        hit.snippet = snippet(plain(hit.body), terms)  # type: ignore[attr-defined]
    return Page(items=hits, next_cursor=found.next_cursor)


def _matches(
    terms: Sequence[Term], listed: QuerySet[Post], key: tuple[float, int, int] | None, *, limit: int
) -> list[tuple[float, int, int]]:
    """(rank, post, newest post ranked) of the best matches among the listed posts, after `key`.

    A rank depends on its own document alone, and later pages rank the posts that the first one did: what is written
    meanwhile moves nothing.
    """
    connection = connections[router.db_for_read(SearchDocument)]
    matches, rank, parameters = (_on_postgresql if connection.vendor == "postgresql" else _on_sqlite)(terms)
    among, among_parameters = listed.filter(pk=RawSQL("found.post_id", ())).values("pk").query.sql_with_params()
    sql, values = f"SELECT * FROM ({matches}) AS found WHERE EXISTS ({among})", [*parameters, *among_parameters]
    if key is not None:
        sql, values = f"{sql} AND post_id <= %s", [*values, key[2]]
    sql = f"{sql} ORDER BY post_id DESC LIMIT {RANKED}"
    sql = f"SELECT {rank} AS rank, post_id, max(post_id) OVER () AS newest FROM ({sql}) AS latest"
    sql = f"SELECT rank, post_id, newest FROM ({sql}) AS ranked"
    if key is not None:
        sql, values = f"{sql} WHERE (rank, post_id) < (%s, %s)", [*values, *key[:2]]
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} ORDER BY rank DESC, post_id DESC LIMIT %s", [*values, limit])
        return [(rank, post_id, newest) for rank, post_id, newest in cursor.fetchall()]


def _on_postgresql(terms: Sequence[Term]) -> tuple[str, str, tuple[str, ...]]:
    # The words are letters and digits alone, so that they cannot be read as operators.
    wanted = " && ".join(_tsquery(term) for term in terms if not term.excluded)
    unwanted = "".join(f" && !!{_tsquery(term)}" for term in terms if term.excluded)
    # Where nothing is wanted but words that are not indexed, all that is not unwanted would match.
    matches = f"""
        SELECT post_id, tsv, asked
        FROM feeds_searchdocument, (
            SELECT wanted{unwanted} AS asked FROM (SELECT {wanted} AS wanted) AS part WHERE numnode(wanted) > 0
        ) AS query WHERE tsv @@ asked
    """
    ordered = sorted(terms, key=lambda term: not term.excluded)
    words = (f"{term.words[0]}:*" if term.opening else " ".join(term.words) for term in ordered)
    return matches, "ts_rank(tsv, asked, 1)::float8", tuple(words)


def _tsquery(term: Term) -> str:
    return "to_tsquery('simple', %s)" if term.opening else "phraseto_tsquery('english', %s)"


def _on_sqlite(terms: Sequence[Term]) -> tuple[str, str, tuple[str, ...]]:
    """Ranked as PostgreSQL does: a title outweighs any body, a long document is worth less. (FTS5's own bm25 of one
    document changes with every other.)"""
    wanted = " AND ".join(_fts5(term) for term in terms if not term.excluded)
    unwanted = "".join(f" NOT {_fts5(term)}" for term in terms if term.excluded)
    matches = """
        SELECT rowid AS post_id,
               length(highlight(feeds_searchtext, 0, '.', '')) - length(title) AS in_title,
               length(highlight(feeds_searchtext, 1, '.', '')) - length(body) AS in_body,
               length(title) + length(body) AS size
        FROM feeds_searchtext WHERE feeds_searchtext MATCH %s
    """
    rank = "(in_title / (in_title + 1.0) + 0.4 * in_body / (in_body + 1.0)) / (1 + ln(size + 1))"
    return matches, rank, (f"({wanted}){unwanted}",)


def _fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + ("*" if term.opening else "")
