"""What a text costs whoever stores and shows it, beside prose of the same length: 40,000 characters.

Storing: `create_post`, then, as in a worker, the search index and the notices of those it mentions. Showing: GET of the
post, of a list of such posts, and of a search that finds them. Each text is measured next to prose, in turns. The time
is that of the processor, of this process and of the database's session together. The texts are those of
tests/support/dear_texts.py, and the dearest ones of a seeded random search.

Prints for each text the ratios of the medians; "size" and "gzip" are the bytes of the page of the post, as it is and
compressed, "zipping" the time for that.

    python -m benchmarks.texts [--copies 7] [--random 1000] [--kept 10] [--seed 1]
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.processor import ProcessorClock
from benchmarks.search import Texts
from benchmarks.services import temporary_services

NAME = "airy_bench_texts"
#: The longest body of a post, in characters.
LENGTH = 40_000
#: Random texts are compared by the best of this many runs of the parser.
RUNS = 2

Seconds = dict[str, list[float]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--copies", type=int, default=7, help="posts with each text")
    arguments.add_argument("--random", type=int, default=1_000, help="random texts that are parsed")
    arguments.add_argument("--kept", type=int, default=10, help="the dearest ones of them, which are stored and shown")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    with temporary_services(NAME, ALLOWED_HOSTS="testserver", SECURE_SSL_REDIRECT="off", RATE_LIMITS="off"):
        from tests.support.dear_texts import DEAR, RICH

        dearest = dearest_random(options.random, options.kept, options.seed)
        Bench(options.copies, prose()).print_table([RICH, *DEAR, *dearest])


def prose() -> str:
    """40,000 characters in paragraphs, of words as frequent as in a language: it compresses like one."""
    words = Texts(1)
    return "\n\n".join(words.english(60) for _ in range(200))[:LENGTH]


def dearest_random(number: int, kept: int, seed: int) -> list[str]:
    """The random texts that take the parser longest."""
    from feeds.text import parsed
    from tests.support.dear_texts import random_texts

    def seconds(text: str) -> float:
        return min(taken(lambda: parsed._parsed(text)) for _ in range(RUNS))

    return sorted(set(random_texts(number, seed=seed)), key=seconds, reverse=True)[:kept]


class Bench:
    """Stores and shows texts. A measurement is made of prose and of a text in turns."""

    def __init__(self, copies: int, prose: str) -> None:
        self.copies, self.prose, self.number = copies, prose, 0
        self.clock = ProcessorClock()

    def print_table(self, texts: list[str]) -> None:
        self.compared(self.prose)  # fills caches of templates, plans and the like
        noise = self.compared(self.prose)
        names = list(noise)
        print(f"{'text':24}" + "".join(f"{name:>9}" for name in names), flush=True)
        print(f"{'prose beside prose':24}" + "".join(f"{ratio:9.2f}" for ratio in noise.values()), flush=True)
        rows = []
        for text in texts:
            rows.append(self.compared(text))
            shown = repr(text[:18]).ljust(24)
            print(shown + "".join(f"{ratio:9.2f}" for ratio in rows[-1].values()), flush=True)
        print(f"{'highest':24}" + "".join(f"{max(row[name] for row in rows):9.2f}" for name in names), flush=True)

    def compared(self, text: str) -> dict[str, float]:
        """What was measured of the text, each divided by that of prose."""
        ours: Seconds = {}
        prose: Seconds = {}
        one, other = self.author(), self.author()
        for _ in range(self.copies):
            self.store(text, one, ours)
            self.store(self.prose, other, prose)
        for _ in range(self.copies):
            self.show(one, ours)
            self.show(other, prose)
        return {name: statistics.median(ours[name]) / statistics.median(prose[name]) for name in ours}

    def author(self) -> Any:
        from feeds.models import User

        self.number += 1
        return User.objects.create(username=f"author{self.number}")

    def store(self, text: str, author: Any, seconds: Seconds) -> None:
        from django.db import transaction

        from feeds import actions
        from feeds.search.index import index_posts
        from feeds.text.parsed import remembered
        from notifications.kinds import MENTION
        from notifications.notices.locking import lock_visible
        from notifications.notices.notices import notify

        def work() -> None:
            remembered.clear()
            index_posts([post.pk])
            with transaction.atomic():
                notify(MENTION.notices(lock_visible(post_ids=[post.pk], mentions=True).posts[post.pk]))

        remembered.clear()
        began = self.clock.seconds()
        post = actions.create_post(author, title=author.username, body=text)
        created = self.clock.seconds()
        work()
        ended = self.clock.seconds()
        seconds.setdefault("create", []).append(created - began)
        seconds.setdefault("work", []).append(ended - created)
        seconds.setdefault("stored", []).append(ended - began)

    def show(self, author: Any, seconds: Seconds) -> None:
        from django.test import Client

        from feeds.models import Post

        client, post = Client(), Post.objects.of(author).latest("pk")
        addresses = {
            "post": f"/posts/{post.pk}",
            "list": f"/users/{author.username}",
            "search": f"/search?q={author.username}",
        }
        for name, address in addresses.items():
            began = self.clock.seconds()
            answer = client.get(address)
            seconds.setdefault(name, []).append(self.clock.seconds() - began)
            assert answer.status_code == 200, (address, answer.status_code)
            if name == "post":
                seconds.setdefault("size", []).append(len(answer.content))
                began = time.process_time()
                seconds.setdefault("gzip", []).append(len(gzip.compress(answer.content, 6)))
                seconds.setdefault("zipping", []).append(time.process_time() - began)


def taken(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
