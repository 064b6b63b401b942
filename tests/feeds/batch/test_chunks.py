"""Chunks: several transactions at once over one table, interrupted and continued."""

import os
import re
import signal
import threading
from contextlib import contextmanager
from itertools import chain

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from events.pool import TaskPool, current_task
from events.testing import deliver
from feeds.batch import chunks, concurrency
from feeds.batch.chunks import ChunkFailedError, ChunksInterruptedError, each_chunk
from feeds.batch.progress import ChunkProgress
from feeds.counts import recount
from feeds.counts.recount import Position
from feeds.home_feed import rebuild
from feeds.models import EntityCounts, FeedEntry, Post, SearchDocument, User
from feeds.search import reindex
from tests.support.factories import CommentFactory, FollowFactory, PostFactory, UserFactory, VoteFactory

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds after which a wait fails; enough for a busy machine.
PATIENCE = 30


@pytest.fixture
def small_chunks(monkeypatch):
    """Two rows per chunk, so that a few rows are many chunks."""
    monkeypatch.setattr(chunks.chunks_of, "__kwdefaults__", {"size": 2, "after": 0})


@pytest.fixture
def users(small_chunks):
    """The keys of twelve rows, in six chunks."""
    return [UserFactory().pk for _ in range(12)]


class Interrupting:
    """Work that sends this process SIGINT, as Ctrl-C does, at a chunk."""

    def __init__(self, key):
        self.key = key

    def __call__(self, ids):
        if self.key in ids:
            os.kill(os.getpid(), signal.SIGINT)
        return ids


def flat(results):
    """The keys of all chunks, in order."""
    return list(chain.from_iterable(results))


def everyone():
    return User.objects.all()


def test_each_chunk_is_a_transaction_in_a_slot_of_the_pool(users, monkeypatch):
    seen = []

    def work(ids):
        seen.append((current_task() in pool._admission.tasks, connection.in_atomic_block))

    with TaskPool(10) as pool:
        monkeypatch.setattr(chunks, "get_pool", lambda: pool)
        each_chunk(everyone(), work)
        assert pool.stats().completed == 6
    assert seen == [(True, True)] * 6


def test_results_come_in_the_order_of_the_keys_and_progress_tells_all(users):
    told = []
    assert each_chunk(everyone(), list, advance=told.append) == [users[n : n + 2] for n in range(0, 12, 2)]
    assert told == [2] * 6


@pytest.mark.postgres
def test_chunks_are_under_way_together_and_never_more_than_asked_for(users):
    meeting, most, lock = threading.Barrier(3), [0, 0], threading.Lock()

    def work(ids):
        with lock:
            most[0] += 1
            most[1] = max(most)
        meeting.wait(PATIENCE)
        with lock:
            most[0] -= 1
        return threading.current_thread()

    threads = each_chunk(everyone(), work, jobs=3)
    assert most[1] == 3
    assert len(set(threads)) == 3
    assert threading.current_thread() not in threads


@pytest.mark.postgres
def test_the_order_of_results_is_not_that_in_which_chunks_end(users):
    last_is_done = threading.Event()

    def work(ids):
        if ids[0] == users[0]:
            assert last_is_done.wait(PATIENCE)
        elif ids[-1] == users[-1]:
            last_is_done.set()
        return ids

    assert flat(each_chunk(everyone(), work, jobs=3)) == users


def test_inside_a_transaction_the_work_sees_its_rows_and_leaves_with_it(small_chunks):
    with transaction.atomic():
        UserFactory()
        (thread,) = each_chunk(everyone(), lambda ids: threading.current_thread())
    assert thread is threading.current_thread()


@pytest.mark.parametrize("wrong", [0, -1, 10_000])
def test_a_number_of_jobs_out_of_range_is_refused_with_the_cure(wrong):
    with pytest.raises(ValueError, match=r"jobs must be (from 1 to \d+|1), not"):
        each_chunk(everyone(), list, jobs=wrong)


@pytest.mark.postgres
def test_jobs_leave_a_connection_to_read_with_and_take_no_more_slots_than_there_are(monkeypatch):
    most = connection.settings_dict["OPTIONS"]["pool"]["max_size"] - 1
    assert concurrency.max_jobs() == most
    assert concurrency.checked_jobs(None) == concurrency.DEFAULT_JOBS
    with TaskPool(2) as small:
        monkeypatch.setattr(concurrency, "get_pool", lambda: small)
        assert concurrency.checked_jobs(None) == 2


# Stopped early


def test_a_failing_chunk_stops_the_handing_out_and_says_where_to_go_on(users):
    asked = []

    def work(ids):
        asked.append(ids)
        User.objects.filter(pk__in=ids).update(email="done@example.org")
        if users[5] in ids:
            raise ValueError("a bad row")
        return ids

    with pytest.raises(
        ChunkFailedError, match=rf"The chunk from {users[4]} to {users[5]} failed: ValueError: a bad row"
    ) as stop:
        each_chunk(everyone(), work, jobs=1)
    assert isinstance(stop.value.__cause__, ValueError)
    assert stop.value.after == users[3]
    assert stop.value.results == [users[:2], users[2:4]]
    assert len(asked) == 3
    assert everyone().filter(email="done@example.org").count() == 4


@pytest.mark.postgres
def test_what_is_under_way_when_a_chunk_fails_is_finished_and_nothing_new_begun(users):
    together, failed, asked = threading.Barrier(3), threading.Event(), []

    def work(ids):
        asked.append(ids)
        together.wait(PATIENCE)
        if ids[0] == users[2]:
            current_task().add_done_callback(lambda _: failed.set())
            raise ValueError("a bad row")
        assert failed.wait(PATIENCE)
        User.objects.filter(pk__in=ids).update(email="done@example.org")
        return ids

    with pytest.raises(ChunkFailedError) as stop:
        each_chunk(everyone(), work, jobs=3)
    assert stop.value.after == users[1]
    assert stop.value.results == [users[:2], users[4:6]]
    assert len(asked) == 3
    done = set(everyone().filter(email="done@example.org").values_list("pk", flat=True))
    assert done == {*users[:2], *users[4:6]}


def test_going_on_from_there_does_the_rest(users):
    assert each_chunk(everyone(), list, after=users[3]) == [users[n : n + 2] for n in range(4, 12, 2)]


@pytest.mark.parametrize("at_once", [1, pytest.param(3, marks=pytest.mark.postgres)])
def test_ctrl_c_ends_the_work_and_says_where_to_go_on(users, at_once):
    interrupt = Interrupting(users[6])
    with pytest.raises(ChunksInterruptedError) as stop:
        each_chunk(everyone(), interrupt, jobs=at_once)
    assert isinstance(stop.value, KeyboardInterrupt)
    results = flat(stop.value.results)
    assert results == sorted(results)
    assert set(results) >= {key for key in users if key <= stop.value.after}
    # Where several chunks run at once, the others may have reached the end before the signal came.
    assert set(users) <= {*results, *flat(each_chunk(everyone(), list, after=stop.value.after))}


@pytest.mark.postgres
def test_ctrl_c_asks_a_long_chunk_to_stop_where_it_is_safe(users, monkeypatch):
    begun, stopped = threading.Barrier(3), threading.Event()

    def remove(user_id):
        if user_id in users[0:6:2]:
            if begun.wait(PATIENCE) == 0:
                os.kill(os.getpid(), signal.SIGINT)
            assert stopped.wait(PATIENCE)

    cancel = ChunkProgress.cancel
    monkeypatch.setattr(ChunkProgress, "cancel", lambda progress: (cancel(progress), stopped.set()))
    monkeypatch.setattr(rebuild.removal, "remove_unwanted", remove)
    with pytest.raises(ChunksInterruptedError) as stop:
        rebuild.rebuild_feeds(everyone(), jobs=3)
    assert stop.value.after == 0
    assert stop.value.results == []


# Beside a running site


def test_a_chunk_that_loses_a_deadlock_runs_again(users):
    lost = []

    def work(ids):
        if len(lost) < 3:
            lost.append(ids)
            raise OperationalError from psycopg.errors.DeadlockDetected()
        return ids

    assert flat(each_chunk(everyone(), work, jobs=1)) == users
    assert lost == [users[:2]] * 3


@contextmanager
def opposite_order(first, second):
    """Another session, which locks the first row and, when told to, the second row as well."""
    with psycopg.connect(dbname=connection.settings_dict["NAME"], **_place()) as other:
        other.execute("SET deadlock_timeout = '10s'")
        other.execute("SELECT FROM feeds_post WHERE id = %s FOR NO KEY UPDATE", [first])
        yield lambda: other.execute("SELECT FROM feeds_post WHERE id = %s FOR NO KEY UPDATE", [second])


def _place():
    settings = connection.settings_dict
    return {"host": settings["HOST"], "port": settings["PORT"] or 5432, "user": settings["USER"]}


@pytest.mark.postgres
def test_a_real_deadlock_with_the_site_costs_the_chunk_a_second_run_and_nothing_else(eventually):
    first, second = PostFactory(title="tea").pk, PostFactory(title="tea").pk
    with opposite_order(second, first) as go_on:
        finished = threading.Thread(target=reindex.reindex, kwargs={"jobs": 2})
        finished.start()
        eventually(_someone_waits_for_a_lock, within=PATIENCE)
        go_on()
    finished.join(PATIENCE)
    assert not finished.is_alive()
    assert set(SearchDocument.objects.values_list("post", flat=True)) == {first, second}


def _someone_waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return cursor.fetchone()[0]


# The three commands


@pytest.fixture
def village(small_chunks):
    """Users, posts, comments, votes and follows; all events delivered."""
    people = [UserFactory() for _ in range(7)]
    posts = [PostFactory(author=people[n % 7]) for n in range(9)]
    for n, post in enumerate(posts):
        CommentFactory(post=post, author=people[(n + 1) % 7])
        for voter in people[: n % 5]:
            VoteFactory(user=voter, post=post)
    for follower in people:
        for followee in people[:3]:
            if follower != followee:
                FollowFactory(follower=follower, followee=followee)
    deliver()


def all_kept():
    """The rows that subscribers write: counts, feeds, search documents."""
    return (
        sorted(
            EntityCounts.objects.values_list(
                "entity_type", "entity_id", "upvotes", "downvotes", "score", "comments", "hot", "controversy"
            )
        ),
        sorted(FeedEntry.objects.values_list("user", "post")),
        sorted(SearchDocument.objects.values_list("post", "title_words", "body_words")),
    )


def spoil():
    """Make rows that subscribers write wrong, in every chunk."""
    EntityCounts.objects.filter(entity_id__gt=0).update(upvotes=7, hot=1.0, controversy=1.0)
    EntityCounts.objects.filter(entity_type="comment").order_by("entity_id")[0].delete()
    FeedEntry.objects.filter(post__in=Post.objects.order_by("pk")[::2]).delete()
    reader, post = (
        User.objects.order_by("pk").first(),
        Post.objects.filter(author__username__gt="").order_by("pk").last(),
    )
    FeedEntry.objects.get_or_create(
        user=reader, post=post, defaults={"author_id": post.author_id, "published_at": post.published_at}
    )
    SearchDocument.objects.update(title_words="wrong")
    SearchDocument.objects.order_by("post")[0].delete()


def run_all(at_once):
    """Run all three; return the drifts that were found."""
    drifts = recount.recount(jobs=at_once)
    reindex.reindex(jobs=at_once)
    rebuild.rebuild_feeds(everyone(), jobs=at_once)
    return drifts


@pytest.mark.postgres
def test_several_at_once_leave_what_one_after_the_other_leaves(village):
    right = all_kept()
    spoil()
    one_by_one = run_all(1)
    assert all_kept() == right
    spoil()
    together = run_all(3)
    assert all_kept() == right
    assert len(one_by_one) > 12
    assert [(d.entity_type, d.entity_id, d.true) for d in together] == [
        (d.entity_type, d.entity_id, d.true) for d in one_by_one
    ]
    kinds = [d.entity_type for d in together]
    assert kinds == sorted(kinds, reverse=True)


def test_the_drifts_of_a_recount_that_breaks_off_are_not_lost_and_the_rest_is_found_later(village, monkeypatch):
    EntityCounts.objects.update(upvotes=70)
    comments = list(
        EntityCounts.objects.filter(entity_type="comment").order_by("entity_id").values_list("entity_id", flat=True)
    )
    expected = recount.recount(repair=False)
    chunk = recount._recount_chunk

    def fails_once(entity_type, ids, **options):
        if entity_type == "comment" and comments[4] in ids:
            raise ValueError("a bad row")
        return chunk(entity_type, ids, **options)

    monkeypatch.setattr(recount, "_recount_chunk", fails_once)
    with pytest.raises(ChunkFailedError) as stop:
        recount.recount()
    monkeypatch.undo()
    assert stop.value.after == Position("comment", comments[3])
    rest = recount.recount(after=stop.value.after)
    assert recount.recount() == []
    found = [str(drift) for drift in (*stop.value.results, *rest)]
    assert sorted(found) == sorted(str(drift) for drift in expected)


def test_the_command_says_how_to_go_on_and_goes_on(village, monkeypatch, capsys):
    EntityCounts.objects.update(upvotes=70)
    posts = list(Post.objects.order_by("pk").values_list("pk", flat=True))
    chunk = recount._recount_chunk

    def fails(entity_type, ids, **options):
        if posts[4] in ids and entity_type == "post":
            raise ValueError("a bad row")
        return chunk(entity_type, ids, **options)

    monkeypatch.setattr(recount, "_recount_chunk", fails)
    with pytest.raises(CommandError) as refused:
        call_command("recount", jobs=1)
    monkeypatch.undo()
    assert "ValueError: a bad row. Finished work is kept." in str(refused.value)
    (place,) = re.findall(r"--after (\S+)$", str(refused.value))
    assert place == f"post/{posts[3]}"
    assert capsys.readouterr().out.count("upvotes 70") == 4
    call_command("recount", "--after", place)
    assert recount.recount() == []


@pytest.mark.parametrize("command", ["recount", "reindex", "rebuild_feeds", "rerender"])
def test_ctrl_c_is_no_traceback_but_an_end_that_shells_know(village, command, monkeypatch):
    monkeypatch.setattr(chunks, "_in_transaction", lambda work, ids: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(CommandError, match=r"Stopped\. Finished work is kept\. To continue, run the same") as refused:
        call_command(command, jobs=1)
    assert refused.value.returncode == 130


@pytest.mark.parametrize("command", ["recount", "reindex", "rebuild_feeds", "rerender"])
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--jobs", "0", "jobs must be"),
        ("--jobs", "many", "'many' is not a whole number"),
        ("--after", "tea", "'tea' is not a"),
    ],
)
def test_nonsense_is_refused_with_the_cure(command, option, value, words):
    with pytest.raises(CommandError, match=words):
        call_command(command, option, value)


def test_after_leaves_out_what_is_done(village, capsys):
    SearchDocument.objects.all().delete()
    posts = list(Post.objects.order_by("pk").values_list("pk", flat=True))
    call_command("reindex", "--after", str(posts[4]))
    assert sorted(SearchDocument.objects.values_list("post", flat=True)) == posts[5:]
    FeedEntry.objects.all().delete()
    people = list(User.objects.order_by("pk").values_list("pk", flat=True))
    call_command("rebuild_feeds", "--after", str(people[2]))
    assert set(FeedEntry.objects.values_list("user", flat=True)) == set(people[3:])
