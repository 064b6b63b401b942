"""Agree: `python -m tests.chaos.site.agree SECONDS` waits until everything agrees; it prints what does not.

Log, tables and counts, as `tests.support.agreement` says; no dead letter; what is stored beside each text is made of
it; each visible post and no other is in the search index, with its words.
"""

from __future__ import annotations

import sys
import time

import django


def stored_texts() -> list[str]:
    """Of each text that can be read, what is stored is made of it, by the present parser."""
    from feeds.models import Comment, Post
    from feeds.text.markdown import VERSION
    from feeds.text.parsed import digest_of

    found = []
    for rows in (Post.objects.filter(deleted_at=None), Comment.objects.filter(deleted_at=None)):
        name, model = rows.model._meta.model_name, rows.model
        stored = dict(model.stored_text.objects.filter(version=VERSION).values_list("pk", "digest"))
        wanted = {pk: digest_of(source) for pk, source in rows.values_list("pk", model.text_field)}
        stale = sorted(pk for pk, digest in wanted.items() if stored.get(pk) != digest)
        if stale:
            found.append(f"{len(stale)} texts of a {name} are not stored, or are of another text: {stale[:5]}")
    return found


def search_index() -> list[str]:
    """The documents have the words of the visible posts."""
    from feeds.models import Post, SearchDocument
    from feeds.search.query import indexed
    from feeds.text.parsed import parsed

    documents = {
        pk: (old, title, body)
        for pk, old, title, body in SearchDocument.objects.values_list("pk", "title", "title_words", "body_words")
    }
    posts = {pk: (title, body) for pk, title, body in Post.objects.visible().values_list("pk", "title", "body")}
    found = []
    if foreign := sorted(documents.keys() ^ posts.keys()):
        found.append(f"{len(foreign)} posts are indexed or visible, and not both: {foreign[:5]}")
    wrong = [
        pk
        for pk in sorted(documents.keys() & posts.keys())
        if documents[pk] != ("", indexed(posts[pk][0]), indexed(parsed(posts[pk][1]).words))
    ]
    if wrong:
        found.append(f"{len(wrong)} documents have other words than their posts: {wrong[:5]}")
    return found


def dead_letters() -> list[str]:
    """None."""
    from events.models import Delivery

    letters = Delivery.objects.filter(state="dead").values_list("subscriber", "reason")
    return [f"dead letter: {subscriber} {reason}" for subscriber, reason in letters]


def main() -> int:
    """1 if something still disagrees after so many seconds."""
    django.setup()
    from tests.support import agreement

    deadline = time.monotonic() + float(sys.argv[1])
    while found := [*dead_letters(), *agreement.deliveries()]:
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    found += [*agreement.log(), *agreement.counts(), *agreement.uncounted(), *stored_texts(), *search_index()]
    print(*found, sep="\n")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
