"""Earlier documents: those that no version with `title_words` has written yet. `manage.py reindex` makes them anew.

They are matched by the index that they were made for: PostgreSQL's English text search, SQLite's table
`feeds_searchtext`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from feeds.models import SearchDocument
from feeds.search.query import MAX_QUERY_LENGTH, MAX_TERMS, TERM, Term

DOCUMENTS = SearchDocument._meta.db_table
RUN = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u1100-\u11ff\uac00-\ud7af"
    "\U00020000-\U0003ffff]+"
)


def matches(query: str, *, vendor: str) -> tuple[str, list[str]]:
    """A SELECT of the ids of the earlier documents that match, and its parameters."""
    terms = _terms(query)
    wanted = [term for term in terms if not term.excluded]
    if not wanted:
        return "", []
    condition, parameters = (_on_postgresql if vendor == "postgresql" else _on_sqlite)(terms)
    return f"SELECT post_id FROM {DOCUMENTS} WHERE (title <> '' OR body <> '') AND {condition}", parameters


def _on_postgresql(terms: Sequence[Term]) -> tuple[str, list[str]]:
    wanted = " && ".join(_tsquery(term) for term in terms if not term.excluded)
    unwanted = "".join(f" && !!{_tsquery(term)}" for term in terms if term.excluded)
    ordered = sorted(terms, key=lambda term: term.excluded)
    words = [f"{term.words[0]}:*" if term.opening else " ".join(term.words) for term in ordered]
    kept = [word for word, term in zip(words, ordered, strict=True) if not term.excluded]
    # If all wanted words are stop words, nothing is wanted and every post without an unwanted word would match.
    return f"numnode({wanted}) > 0 AND tsv @@ ({wanted}{unwanted})", [*kept, *words]


def _tsquery(term: Term) -> str:
    return "to_tsquery('simple', %s)" if term.opening else "phraseto_tsquery('english', %s)"


def _on_sqlite(terms: Sequence[Term]) -> tuple[str, list[str]]:
    wanted = " AND ".join(_fts5(term) for term in terms if not term.excluded)
    unwanted = "".join(f" NOT {_fts5(term)}" for term in terms if term.excluded)
    return "post_id IN (SELECT rowid FROM feeds_searchtext(%s))", [f"({wanted}){unwanted}"]


def _fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + ("*" if term.opening else "")


def _terms(query: str) -> list[Term]:
    terms: list[Term] = []
    for found in TERM.finditer(unicodedata.normalize("NFKC", query[:MAX_QUERY_LENGTH]).casefold()):
        excluded, plain = found["excluded"] is not None, list[str]()
        for part in re.split(f"({RUN.pattern})", found["phrase"] if found["phrase"] is not None else found["word"]):
            if RUN.fullmatch(part):
                words = tuple(part[i : i + 2] for i in range(len(part) - 1)) or (part,)
                terms.append(Term(words=words, spelled=words, opening=len(part) == 1, excluded=excluded))
            else:
                plain += re.findall(r"\w+", part)
        if plain:
            terms.append(Term(words=tuple(plain), spelled=tuple(plain), excluded=excluded))
    return terms[:MAX_TERMS]
