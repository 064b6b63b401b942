"""A real Stack Exchange dump: ranks computed in decimals from its files equal those of the site.

AIRY_DUMP=folder python -m pytest -m slow tests/feeds/counts/test_real_rankings.py
"""

import csv
import datetime as dt
import html
import os
import re
import unicodedata
from collections import Counter, defaultdict
from decimal import Decimal, getcontext
from pathlib import Path

import pytest
from rich.progress import Progress

from events.subscription import subscriptions
from events.testing import deliver, run, take
from feeds.lists.posts import list_posts
from feeds.lists.threads import list_comments
from feeds.models import EntityCounts, ImportedRow, Post
from feeds.search.search import search_posts
from feeds.stackexchange.import_dump import import_dump
from tests.support.factories import PostFactory

DUMP = os.environ.get("AIRY_DUMP")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not DUMP, reason="AIRY_DUMP names no folder with Posts.csv, Comments.csv, Votes.csv"),
]
COUNTING = ("feeds.rank_post", "feeds.count_votes", "feeds.count_comments", "feeds.index_post")
ALL = 100_000

getcontext().prec = 40


def read(name):
    with (Path(DUMP) / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def hot(up, down, created):
    epoch = Decimal((created - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)) / 1_000_000
    order = Decimal(max(abs(up - down), 1)).log10()
    return (order if up >= down else -order) + (epoch - 1134028003) / 45000


def controversial(up, down):
    return Decimal(up + down) ** (Decimal(min(up, down)) / max(up, down)) if up and down else Decimal(0)


def wilson(up, down):
    if not up + down:
        return Decimal(0)
    votes, z = Decimal(up + down), Decimal("1.281551565545")
    share, squared = up / votes, z * z
    root = (share * (1 - share) / votes + squared / (4 * votes * votes)).sqrt()
    return max((share + squared / (2 * votes) - z * root) / (1 + squared / votes), Decimal(0))


@pytest.fixture
def votes():
    """The votes of the dump by its ids, after all rows were imported and counted."""
    with Progress(disable=True) as progress:
        import_dump(Path(DUMP), source="dump", progress=progress)
    while work := take():
        for name in COUNTING:
            arrivals, together = work.get(name, []), subscriptions[name].group_size
            for start in range(0, len(arrivals), together):
                run(name, arrivals[start : start + together])
    cast = Counter()
    skipped = {row["Id"] for row in read("Votes")} - set(
        ImportedRow.objects.filter(kind="vote").values_list("external_id", flat=True)
    )
    for row in read("Votes"):
        if row["Id"] not in skipped:
            cast[row["PostId"], row["VoteTypeId"]] += 1
    return cast


def test_ranks_and_searches_on_real_data(votes):
    here = {
        kind: dict(ImportedRow.objects.filter(kind=kind).values_list("object_id", "external_id"))
        for kind in ("post", "answer")
    }
    created = {row["Id"]: dt.datetime.fromisoformat(row["CreationDate"]) for row in read("Posts")}
    assert len(here["post"]) > 500
    assert sum(votes.values()) > 5000
    numbers = {pk: (votes[old, "2"], votes[old, "3"]) for pk, old in here["post"].items()}
    ranks = {
        "hot": {pk: hot(*numbers[pk], created[old]) for pk, old in here["post"].items()},
        "top": {pk: Decimal(up - down) for pk, (up, down) in numbers.items()},
        "controversial": {pk: controversial(*pair) for pk, pair in numbers.items()},
    }
    held = {row.entity_id: row for row in EntityCounts.objects.filter(entity_type="post")}
    for pk, pair in numbers.items():
        assert (held[pk].upvotes, held[pk].downvotes) == pair
        assert held[pk].hot == pytest.approx(float(ranks["hot"][pk]), abs=1e-6)
    for sort, rank in ranks.items():
        # Reddit's hot has seven decimals; of two equal ones the newer row comes first.
        wanted = sorted(rank, key=lambda pk: (round(rank[pk], 7), pk), reverse=True)
        assert [post.pk for post in list_posts(sort, size=ALL).items] == wanted, sort
    most = Post.objects.filter(pk__in=here["post"]).order_by("pk")
    compared = 0
    for post in most:
        roots = [
            one for one in list_comments(post, size=ALL).items if one.parent_id is None and one.pk in here["answer"]
        ]
        scores = [
            round(wilson(votes[here["answer"][one.pk], "2"], votes[here["answer"][one.pk], "3"]), 9) for one in roots
        ]
        assert scores == sorted(scores, reverse=True)
        compared += len(roots) > 1
    assert compared > 100

    # In three languages, among all posts of the dump.
    chinese = PostFactory(title="历史学家如何使用数据库", body="我们讨论史料的来源。")
    japanese = PostFactory(title="歴史の資料", body="東京都の図書館でデータベースを使う。")
    deliver()
    assert (
        [hit.pk for hit in search_posts("数据库").items]
        == [hit.pk for hit in search_posts("史料").items]
        == [chinese.pk]
    )
    assert (
        [hit.pk for hit in search_posts("図書館").items]
        == [hit.pk for hit in search_posts("データ").items]
        == [japanese.pk]
    )
    searched_as_the_files_say({old: pk for pk, old in here["post"].items()})
    hits = {hit.pk for hit in search_posts("historians", size=ALL).items}
    assert hits == {hit.pk for hit in search_posts("historian", size=ALL).items}
    assert len(hits) > 20


def searched_as_the_files_say(posts):
    """For words of the dump: every post with the word is found, and every found post has a word that begins alike."""
    having, beginning = defaultdict(set), defaultdict(set)
    for row in read("Posts"):
        if row["Id"] in posts:
            shown = re.sub(r'<img[^>]*alt="([^"]*)"[^>]*>', r" \1 ", row["Body"])
            text = f"{row['Title']} {re.sub(r'<[^>]*>', ' ', shown)}"
            text = html.unescape(text).casefold()
            for word in re.findall(r"\w+", text):
                beginning[plain(word)[:3]].add(posts[row["Id"]])
            for word in re.findall(r"\w+", re.sub(r"https?://\S+", " ", text)):
                having[word].add(posts[row["Id"]])
    foreign = [word for word in sorted(having) if word.isalpha() and len(word) > 3 and not word.isascii()]
    common = [word for word in sorted(having) if re.fullmatch("[a-z]{5,}", word) and len(having[word]) > 2]
    for word in [*foreign, *common[:: len(common) // 100]]:
        hits = {hit.pk for hit in search_posts(word, size=ALL).items}
        assert having[word] <= hits <= beginning[plain(word)[:3]], word


def plain(word):
    """Without accents, which one database ignores and the other does not."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))
