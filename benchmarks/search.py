"""Search among 100,000 posts on PostgreSQL: ours beside what Django's users write: `icontains` over title and body,
`SearchVector` computed at each query, and a stored vector with a GIN index, ranked by `SearchRank`.

The words follow Zipf's law; one post in five is partly Chinese or Japanese, which Django's full text cannot cut into
words: there `icontains` alone is compared. Ours returns posts with author, circle, counts and snippet, page by key; the
peers return posts with author and circle, page by offset. Every side answers the same question in turn, and the medians
and their ratio are printed. The computed vector takes as long for every question, so it is asked one only, once.

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

from benchmarks.place import own_place

NAME = "airy_bench_search"
PAGE = 20
SYLLABLES = [c + v for c in "bcdfglmnprstvz" for v in ("a", "e", "i", "o", "u", "ar", "en", "il")]
ENDINGS = ("", "", "", "s", "ing", "ed")
AUTHORS, CHUNK = 500, 2_000

Ask = Callable[[], Sequence[Any]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--posts", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    with own_place(NAME):
        fill(options.posts)
        measure(options.rounds)


def words(dice: random.Random) -> list[str]:
    """An invented vocabulary, the frequent words short."""
    found = ["".join(dice.choices(SYLLABLES, k=2 + n // 2_000)) for n in range(20_000)]
    return list(dict.fromkeys(found))


def characters() -> list[str]:
    """Han characters and Hiragana, as a text has them: mostly the former."""
    return [chr(0x4E00 + 7 * n) for n in range(2_500)] + [chr(0x3042 + n) for n in range(60)]


class Texts:
    """Endless titles and bodies."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.words, self.characters = words(random.Random(0)), characters()
        self._word_weights = list(itertools.accumulate(1 / (n + 3) for n in range(len(self.words))))
        self._character_weights = list(itertools.accumulate(1 / (n + 10) for n in range(len(self.characters))))

    def english(self, count: int) -> str:
        chosen = self._dice.choices(self.words, cum_weights=self._word_weights, k=count)
        return " ".join(word + self._dice.choice(ENDINGS) for word in chosen)

    def cjk(self, count: int) -> str:
        return "".join(self._dice.choices(self.characters, cum_weights=self._character_weights, k=count))

    def post(self) -> tuple[str, str]:
        mixed = self._dice.random() < 0.2
        title, body = self.english(6), self.english(self._dice.randrange(30, 150))
        return (f"{self.cjk(6)} {title}", f"{body} {self.cjk(60)}。{self.cjk(40)}") if mixed else (title, body)


def fill(count: int) -> None:
    """Posts of 500 authors, their search documents, and the peers' table with its stored vector."""
    from django.contrib.postgres.search import SearchVector
    from django.db import connection
    from django.utils import timezone

    from benchmarks.searching.note import Note
    from feeds.models import Post, SearchDocument, User
    from feeds.search.query import indexed

    with connection.schema_editor() as editor:
        editor.create_model(Note)
    users = User.objects.bulk_create([User(username=f"a{n}", username_folded=f"a{n}") for n in range(AUTHORS)])
    texts = Texts(1)
    for start in range(0, count, CHUNK):
        made = [(n, *texts.post()) for n in range(start, min(start + CHUNK, count))]
        posts = Post.objects.bulk_create(
            Post(author=users[n % AUTHORS], title=title, body=body, published_at=timezone.now())
            for n, title, body in made
        )
        SearchDocument.objects.bulk_create(
            SearchDocument(post=post, title=indexed(post.title), body=indexed(post.body)) for post in posts
        )
        Note.objects.bulk_create(Note(post=post, title=post.title, body=post.body) for post in posts)
    Note.objects.update(vector=SearchVector("title", weight="A") + SearchVector("body", weight="B"))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def questions() -> dict[str, str]:
    """Kind → query: by how many posts have its words."""
    texts = Texts(1)
    vocabulary, signs = texts.words, texts.characters
    return {
        "common word": vocabulary[0],
        "middling word": vocabulary[100],
        "rare word": vocabulary[5_000],
        "two words": f"{vocabulary[3]} {vocabulary[40]}",
        "Chinese, two characters": signs[0] + signs[1],
        "Chinese, three characters": signs[0] + signs[1] + signs[2],
        "Chinese, one character": signs[5],
    }


def ours(query: str, page: int) -> Ask:
    """Ours; the cursor of the page is fetched outside of the clock."""
    from feeds.search.search import search_posts

    cursor = None
    for _ in range(page - 1):
        cursor = search_posts(query, cursor=cursor, size=PAGE).next_cursor
    return lambda: search_posts(query, cursor=cursor, size=PAGE).items


def peers(query: str, page: int) -> Iterator[tuple[str, Ask]]:
    """What Django's users write."""
    from django.contrib.postgres.search import SearchQuery, SearchRank
    from django.db.models import F, Q

    from benchmarks.searching.note import Note

    notes = Note.objects.select_related("post__author", "post__circle")
    cut = slice((page - 1) * PAGE, page * PAGE)
    every = [Q(title__icontains=word) | Q(body__icontains=word) for word in query.split()]
    yield "icontains", lambda: list(notes.filter(*every).order_by("-pk")[cut])
    if query.isascii():
        asked = SearchQuery(query)
        stored = notes.filter(vector=asked).annotate(rank=SearchRank(F("vector"), asked)).order_by("-rank", "-pk")
        yield "stored vector", lambda: list(stored[cut])


def computed(query: str) -> Ask:
    """Full text as the first example of Django's documentation has it."""
    from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector

    from benchmarks.searching.note import Note

    asked, vector = SearchQuery(query), SearchVector("title", weight="A") + SearchVector("body", weight="B")
    notes = Note.objects.select_related("post__author", "post__circle").annotate(words=vector)
    ranked = notes.filter(words=asked).annotate(rank=SearchRank(vector, asked)).order_by("-rank", "-pk")
    return lambda: list(ranked[:PAGE])


def measure(rounds: int) -> None:
    asked = questions()
    for kind, query in asked.items():
        for page in (1, 10):
            sides = {"ours": ours(query, page), **dict(peers(query, page))}
            found = {name: len(ask()) for name, ask in sides.items()}
            taken: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(rounds):
                for name in sorted(sides, reverse=bool(turn % 2)):
                    taken[name].append(clock(sides[name]))
            tell(f"{kind}, page {page} ({found['ours']} posts)", taken)
    first = next(iter(asked.values()))
    tell("common word, page 1", {"ours": [clock(ours(first, 1))], "computed vector": [clock(computed(first))]})


def clock(ask: Ask) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def tell(what: str, taken: dict[str, list[float]]) -> None:
    middle = {name: statistics.median(times) for name, times in taken.items()}
    figures = ", ".join(
        f"{name} {1000 * middle[name]:.1f} ms ({middle[name] / middle['ours']:.2f} times ours)"
        for name in middle
        if name != "ours"
    )
    print(f"{what}: ours {1000 * middle['ours']:.1f} ms; {figures}", flush=True)


if __name__ == "__main__":
    main()
