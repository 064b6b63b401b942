"""Search among 100,000 posts on PostgreSQL: Airy beside three ways that come with Django: `icontains` over title and
body, a `SearchVector` computed at each query, and a stored vector with a GIN index, both ranked by `SearchRank`.

The words follow Zipf's law. One post in five is partly Chinese or Japanese, which Django's full text search cannot
split into words: for these queries only `icontains` is compared. Airy returns posts with author, circle, counts and
snippet, and pages by key; the others return posts with author and circle, and page by offset. All ways answer the same
query in turns. Prints the median times in milliseconds and their ratios. The computed vector takes equally long for
every query, so it is measured once, with one query.

    python -m benchmarks.search [--posts 100000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.services import temporary_services

NAME = "airy_bench_search"
#: Posts of a page.
PAGE = 20
SYLLABLES = [c + v for c in "bcdfglmnprstvz" for v in ("a", "e", "i", "o", "u", "ar", "en", "il")]
ENDINGS = ("", "", "", "s", "ing", "ed")
#: Authors of the posts.
AUTHORS = 500
#: Posts inserted at once.
CHUNK = 2_000

Query = Callable[[], Sequence[Any]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--posts", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    with temporary_services(NAME):
        fill(options.posts)
        measure(options.rounds)


def words(rng: random.Random) -> list[str]:
    """An invented vocabulary; frequent words are short."""
    found = ["".join(rng.choices(SYLLABLES, k=2 + n // 2_000)) for n in range(20_000)]
    return list(dict.fromkeys(found))


def characters() -> list[str]:
    """Chinese characters and some Hiragana, most frequent first."""
    return [chr(0x4E00 + 7 * n) for n in range(2_500)] + [chr(0x3042 + n) for n in range(60)]


class Texts:
    """Random titles and bodies."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.words, self.characters = words(random.Random(0)), characters()
        self._word_weights = list(itertools.accumulate(1 / (n + 3) for n in range(len(self.words))))
        self._character_weights = list(itertools.accumulate(1 / (n + 10) for n in range(len(self.characters))))

    def english(self, count: int) -> str:
        chosen = self._rng.choices(self.words, cum_weights=self._word_weights, k=count)
        return " ".join(word + self._rng.choice(ENDINGS) for word in chosen)

    def cjk(self, count: int) -> str:
        return "".join(self._rng.choices(self.characters, cum_weights=self._character_weights, k=count))

    def post(self) -> tuple[str, str]:
        mixed = self._rng.random() < 0.2
        title, body = self.english(6), self.english(self._rng.randrange(30, 150))
        return (f"{self.cjk(6)} {title}", f"{body} {self.cjk(60)}。{self.cjk(40)}") if mixed else (title, body)


def fill(count: int) -> None:
    """Posts of 500 authors, their search documents, and the peers' table with its stored vector."""
    from django.contrib.postgres.search import SearchVector
    from django.db import connection
    from django.utils import timezone

    from benchmarks.searchable_post import SearchablePost
    from feeds.models import Post, SearchDocument, User
    from feeds.search.query import indexed, letters

    with connection.schema_editor() as editor:
        editor.create_model(SearchablePost)
    users = User.objects.bulk_create([User(username=f"a{n}", username_folded=f"a{n}") for n in range(AUTHORS)])
    texts = Texts(1)
    for start in range(0, count, CHUNK):
        made = [(n, *texts.post()) for n in range(start, min(start + CHUNK, count))]
        posts = Post.objects.bulk_create(
            Post(author=users[n % AUTHORS], title=title, body=body, published_at=timezone.now())
            for n, title, body in made
        )
        SearchDocument.objects.bulk_create(
            SearchDocument(
                post=post,
                title="",
                body="",
                title_words=indexed(post.title),
                body_words=indexed(post.body),
                letters=letters(indexed(post.title), indexed(post.body)),
            )
            for post in posts
        )
        SearchablePost.objects.bulk_create(
            SearchablePost(post=post, title=post.title, body=post.body) for post in posts
        )
    SearchablePost.objects.update(vector=SearchVector("title", weight="A") + SearchVector("body", weight="B"))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def queries() -> dict[str, str]:
    """Kind to query; the kinds differ in the number of posts that contain the words."""
    texts = Texts(1)
    vocabulary, signs = texts.words, texts.characters
    return {
        "common word": vocabulary[0],
        "less common word": vocabulary[100],
        "rare word": vocabulary[5_000],
        "two words": f"{vocabulary[3]} {vocabulary[40]}",
        "Chinese, two characters": signs[0] + signs[1],
        "Chinese, three characters": signs[0] + signs[1] + signs[2],
        "Chinese, one character": signs[5],
    }


def airy(query: str, page: int) -> Query:
    """Airy's search. The cursor of the page is fetched before the measurement."""
    from feeds.search.search import search_posts

    cursor = None
    for _ in range(page - 1):
        cursor = search_posts(query, cursor=cursor, size=PAGE).next_cursor
    return lambda: search_posts(query, cursor=cursor, size=PAGE).items


def peers(query: str, page: int) -> Iterator[tuple[str, Query]]:
    """The ways that come with Django, by name."""
    from django.contrib.postgres.search import SearchQuery, SearchRank
    from django.db.models import F, Q

    from benchmarks.searchable_post import SearchablePost

    copies = SearchablePost.objects.select_related("post__author", "post__circle")
    page_slice = slice((page - 1) * PAGE, page * PAGE)
    every = [Q(title__icontains=word) | Q(body__icontains=word) for word in query.split()]
    yield "icontains", lambda: list(copies.filter(*every).order_by("-pk")[page_slice])
    if query.isascii():
        search_query = SearchQuery(query)
        stored = (
            copies.filter(vector=search_query)
            .annotate(rank=SearchRank(F("vector"), search_query))
            .order_by("-rank", "-pk")
        )
        yield "stored vector", lambda: list(stored[page_slice])


def computed(query: str) -> Query:
    """Full text search as in the first example of Django's documentation."""
    from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector

    from benchmarks.searchable_post import SearchablePost

    search_query, vector = SearchQuery(query), SearchVector("title", weight="A") + SearchVector("body", weight="B")
    copies = SearchablePost.objects.select_related("post__author", "post__circle").annotate(words=vector)
    ranked = copies.filter(words=search_query).annotate(rank=SearchRank(vector, search_query)).order_by("-rank", "-pk")
    return lambda: list(ranked[:PAGE])


def measure(rounds: int) -> None:
    by_kind = queries()
    for kind, query in by_kind.items():
        for page in (1, 10):
            ways = {"airy": airy(query, page), **dict(peers(query, page))}
            found = {name: len(run()) for name, run in ways.items()}
            times: dict[str, list[float]] = {name: [] for name in ways}
            for turn in range(rounds):
                for name in sorted(ways, reverse=bool(turn % 2)):
                    times[name].append(seconds(ways[name]))
            print_times(f"{kind}, page {page} ({found['airy']} posts)", times)
    first = next(iter(by_kind.values()))
    print_times(
        "common word, page 1", {"airy": [seconds(airy(first, 1))], "computed vector": [seconds(computed(first))]}
    )


def seconds(run: Query) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def print_times(what: str, times: dict[str, list[float]]) -> None:
    median = {name: statistics.median(values) for name, values in times.items()}
    figures = ", ".join(
        f"{name} {1000 * median[name]:.1f} ms ({median[name] / median['airy']:.2f} times as long)"
        for name in median
        if name != "airy"
    )
    print(f"{what}: airy {1000 * median['airy']:.1f} ms; {figures}", flush=True)


if __name__ == "__main__":
    main()
