"""Live push through a socket, on the channel layer of this run: in-process at home, Redis on services."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection as database
from django.db import transaction

from events.testing import deliver
from feeds import actions
from feeds.limits import full
from feeds.limits.limit import REFUSED
from notifications.live import connection, rounds, stream_state
from notifications.models import Notification, Stream
from notifications.notices.notices import mark_read
from notifications.push.registry import open_sockets
from tests.notifications.direct import notify_of_follower
from tests.support.factories import BlockFactory, CommentFactory, PostFactory, UserFactory, VoteFactory
from tests.support.logs import captured_logs


def numbers(frames):
    """The seq of each note among frames."""
    return [frame["seq"] for frame in frames if frame["op"] == "note"]


def test_hello_is_answered_with_the_state_of_the_stream(server):
    user = UserFactory()
    notify_of_follower(user, 1)
    (ready,) = server.connect(user).hello()
    epoch = str(Stream.objects.get(user=user).epoch)
    assert ready == {"op": "ready", "seq": 1, "unread": 1, "read_upto": 0, "epoch": epoch, "hb": 25}


def test_a_comment_is_a_note_to_the_author(server):
    post = PostFactory(title="Hello")
    deliver()
    tab = server.connect(post.author)
    tab.hello()
    comment = CommentFactory(post=post)
    deliver()
    note = tab.hear()
    notice = Notification.objects.get(kind="comment")
    assert note == {
        "op": "note",
        "seq": 2,
        "id": notice.pk,
        "kind": "comment",
        "data": notice.data,
        "unread": 2,
        "read": False,
        "created_at": notice.created_at.isoformat(),
        "text": f"{comment.author.username} commented on “Hello”",
        "link": f"/posts/{post.pk}#comment-{comment.pk}",
    }


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice_and_in_order(server):
    user = UserFactory()
    tab = server.connect(user)
    (ready,) = tab.hello()
    notify_of_follower(user, 1)
    assert tab.hear()["seq"] == 1
    tab.leave()
    for number in (2, 3, 4):
        notify_of_follower(user, number)
    tab = server.connect(user)
    assert numbers(tab.hello(1, epoch=ready["epoch"])) == [2, 3, 4]
    notify_of_follower(user, 5)
    assert tab.hear()["seq"] == 5
    tab.assert_nothing_heard()


def test_a_notice_that_grew_meanwhile_comes_once_with_its_last_number(server):
    post = PostFactory()
    deliver()
    VoteFactory(post=post)
    deliver()
    tab = server.connect(post.author)
    tab.hello(0)
    tab.leave()
    for _ in range(2):
        VoteFactory(post=post)
        deliver()
    note, ready = server.connect(post.author).hello(2)
    assert (note["seq"], note["data"]["count"], ready["seq"]) == (4, 3, 4)


def test_a_withdrawn_notice_is_removed_from_the_page(server):
    comment = CommentFactory()
    deliver()
    tab = server.connect(comment.post.author)
    tab.hello()
    notice = Notification.objects.get(kind="comment")
    comment.delete()
    deliver()
    assert tab.hear() == {"op": "gone", "seq": 3, "id": notice.pk, "unread": 1}


def test_a_client_that_comes_back_hears_of_a_notice_withdrawn_meanwhile(server):
    user, follower = UserFactory(), UserFactory()
    deliver()
    tab = server.connect(user)
    tab.hello()
    actions.follow(follower, username=user.username)
    deliver()
    note = tab.hear()
    tab.leave()
    actions.unfollow(follower, username=user.username)
    deliver()
    gone, ready = server.connect(user).hello(note["seq"])
    assert gone == {"op": "gone", "seq": note["seq"] + 1, "id": note["id"], "unread": ready["unread"]}


def test_notices_read_in_one_tab_are_read_in_all(server):
    user = UserFactory()
    notify_of_follower(user, 1)
    notify_of_follower(user, 2)
    here, there = server.connect(user), server.connect(user)
    here.hello()
    there.hello()
    here.say("read", upto=2, id="r1")
    assert {"op": "unread", "unread": 0, "read_upto": 2} in (heard := here.hear_until("ack"))
    assert heard[-1] == {"op": "ack", "id": "r1"}
    assert there.hear() == {"op": "unread", "unread": 0, "read_upto": 2}
    here.say("read", upto=1, id=7)
    assert here.hear() == {"op": "ack", "id": 7}
    assert Stream.objects.get(user=user).read_upto == 2


def test_some_notices_read_in_one_tab_are_read_in_all_and_others_are_not(server):
    user = UserFactory()
    for number in (1, 2, 3):
        notify_of_follower(user, number)
    here, there = server.connect(user), server.connect(user)
    here.hello()
    there.hello()
    here.say("read", seqs=[1, 3], id="r1")
    assert {"op": "unread", "unread": 1, "read_upto": 0} in here.hear_until("ack")
    assert there.hear() == {"op": "unread", "unread": 1, "read_upto": 0}
    notify_of_follower(user, 4)
    assert [tab.hear()["unread"] for tab in (here, there)] == [2, 2]
    here.say("read", seqs=[1, 3], id="r2")
    assert here.hear() == {"op": "ack", "id": "r2"}
    there.assert_nothing_heard()


def test_a_lost_hint_of_reading_is_repaired_by_the_round(server):
    user = UserFactory()
    notify_of_follower(user, 1)
    tab = server.connect(user)
    tab.hello()
    with transaction.atomic():
        mark_read(user.pk, seqs=[1])
        database.run_on_commit.clear()
    server.run(rounds.make_round())
    assert tab.hear() == {"op": "unread", "unread": 0, "read_upto": 0}


def test_notices_read_by_http_are_read_in_the_tab(server):
    user = UserFactory()
    notify_of_follower(user, 1)
    tab = server.connect(user)
    tab.hello()
    mark_read(user.pk, upto=1)
    assert tab.hear() == {"op": "unread", "unread": 0, "read_upto": 1}


def test_a_note_has_the_current_name_of_a_renamed_user(server):
    post = PostFactory()
    voter = VoteFactory(post=post).user
    deliver()
    voter.username = "Renamed"
    voter.save()
    *_, note, _ready = server.connect(post.author).hello(0)
    assert note["data"]["names"] == ["Renamed"]
    assert note["text"].startswith("Renamed upvoted")


def test_a_note_is_in_the_language_of_its_reader(server):
    user = UserFactory()
    notify_of_follower(user, 1)
    tabs = [server.connect(user, **{"accept-language": language}) for language in ("zh-CN,zh;q=0.9", "fr")]
    assert [tab.hello(0)[0]["text"] for tab in tabs] == ["bob 关注了你", "bob followed you"]


def test_notices_of_many_writers_at_once_arrive_complete_and_in_order(server):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()

    def write(part):
        for number in range(20):
            notify_of_follower(user, f"{part}-{number}")
        database.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    assert [tab.hear()["seq"] for _ in range(120)] == list(range(1, 121))
    tab.assert_nothing_heard()


def test_a_rollback_pushes_nothing(server):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    with transaction.atomic():
        notify_of_follower(user, 1)
        transaction.set_rollback(True)
    tab.assert_nothing_heard()
    notify_of_follower(user, 2)
    assert tab.hear()["seq"] == 1


def test_a_lost_hint_is_repaired_by_the_next(server):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    notify_without_hint(user, 1)
    notify_of_follower(user, 2)
    assert numbers([tab.hear(), tab.hear()]) == [1, 2]


def test_a_lost_hint_is_repaired_by_the_round(server):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    notify_without_hint(user, 1)
    server.run(rounds.make_round())
    assert numbers([tab.hear()]) == [1]
    Stream.objects.filter(user=user).update(read_upto=1, unread=0)
    server.run(rounds.make_round())
    assert tab.hear() == {"op": "unread", "unread": 0, "read_upto": 1}
    server.run(rounds.make_round())
    tab.assert_nothing_heard()


def notify_without_hint(user, number):
    """Write a notice whose hint is lost."""
    with transaction.atomic():
        notify_of_follower(user, number)
        database.run_on_commit.clear()


def test_a_client_that_was_away_too_long_reloads(server, monkeypatch):
    monkeypatch.setattr(stream_state, "BACKFILL", 2)
    user = UserFactory()
    for number in range(3):
        notify_of_follower(user, number)
    tab = server.connect(user)
    reset, ready = tab.hello(0)
    assert (reset, ready["seq"]) == ({"op": "reset", "reason": "too_old"}, 3)
    notify_of_follower(user, 3)
    assert tab.hear()["seq"] == 4


@pytest.mark.parametrize("knows", [{"last_seq": 1, "epoch": "another"}, {"last_seq": 99}])
def test_a_client_with_another_history_reloads(server, knows):
    user = UserFactory()
    notify_of_follower(user, 1)
    reset, ready = server.connect(user).hello(**knows)
    assert (reset, ready["seq"]) == ({"op": "reset", "reason": "epoch"}, 1)


def test_a_restored_backup_reaches_sockets_that_are_open(server):
    user = UserFactory()
    notify_of_follower(user, 1)
    tab = server.connect(user)
    tab.hello()
    Stream.objects.filter(user=user).update(seq=0, unread=0, epoch="00000000-0000-4000-8000-000000000000")
    server.run(rounds.make_round())
    assert tab.hear() == {"op": "reset", "reason": "epoch"}
    assert tab.hear()["seq"] == 0


def test_a_socket_that_watches_a_post_gets_its_new_counts(server):
    post, reader = PostFactory(), UserFactory()
    deliver()
    tab = server.connect(reader)
    tab.hello()
    tab.say("watch", post_id=post.pk)
    tab.assert_nothing_heard()
    vote = VoteFactory(post=post)
    deliver()
    assert tab.hear() == counts_of(post, upvotes=1, score=1)
    CommentFactory(post=post)
    deliver()
    assert tab.hear() == counts_of(post, upvotes=1, score=1, comments=1)
    vote.delete()
    deliver()
    assert tab.hear() == counts_of(post, comments=1)
    tab.say("unwatch", post_id=post.pk)
    tab.assert_nothing_heard()
    tab.say("watch", post_id=post.pk, now=True)
    assert tab.hear() == counts_of(post, comments=1)


def test_a_post_of_a_blocked_person_is_not_watched(server):
    post, reader = PostFactory(), UserFactory()
    deliver()
    BlockFactory(user=reader, target=post.author)
    tab = server.connect(reader)
    tab.hello()
    other = PostFactory()
    deliver()
    tab.say("watch", post_id=post.pk, now=True)
    tab.say("watch", post_id=other.pk, now=True)
    assert tab.hear() == counts_of(other)
    VoteFactory(post=post)
    VoteFactory(post=other)
    deliver()
    assert tab.hear() == counts_of(other, upvotes=1, score=1)
    tab.assert_nothing_heard()


@pytest.mark.parametrize("blocks", ["reader", "author"])
def test_after_a_block_the_counts_of_watched_posts_come_no_more(server, blocks):
    post, other, reader = PostFactory(), PostFactory(), UserFactory()
    deliver()
    tab = server.connect(reader)
    tab.hello()
    for watched in (post, other):
        tab.say("watch", post_id=watched.pk, now=True)
    assert {tab.hear()["post_id"] for _ in range(2)} == {post.pk, other.pk}
    pair = (reader, post.author) if blocks == "reader" else (post.author, reader)
    actions.block(pair[0], username=pair[1].username)
    tab.say("watch", post_id=other.pk, now=True)  # answered after the check that the block asked for
    assert tab.hear() == counts_of(other)
    VoteFactory(post=post)
    VoteFactory(post=other)
    deliver()
    assert tab.hear() == counts_of(other, upvotes=1, score=1)
    tab.assert_nothing_heard()


def test_a_draft_of_another_is_not_watched(server):
    draft, other, reader = PostFactory(status="draft"), PostFactory(), UserFactory()
    deliver()
    tab = server.connect(reader)
    tab.hello()
    for watched in (draft, other):
        tab.say("watch", post_id=watched.pk, now=True)
    assert tab.hear() == counts_of(other)
    actions.publish_post(draft.author, post_id=draft.pk)
    VoteFactory(post=draft)
    deliver()
    tab.assert_nothing_heard()


def counts_of(post, **counts):
    return {"op": "counts", "post_id": post.pk, "upvotes": 0, "downvotes": 0, "score": 0, "comments": 0} | counts


def test_before_it_stops_the_server_asks_clients_to_come_back_later(server):
    tab = server.connect(UserFactory())
    tab.hello()
    server.run(open_sockets.drain())
    drain = tab.hear()
    assert drain["op"] == "drain"
    assert 500 <= drain["retry_ms"] <= 5000


def test_one_user_has_ten_sockets_at_most(server):
    user = UserFactory()
    tabs = [server.connect(user) for _ in range(10)]
    tabs[-1].hello()
    assert server.connect(user).hear_close() == 4409
    tabs[0].leave()
    server.connect(user).hello()


def test_a_full_process_closes_the_next_socket_and_says_so_once(server, settings, monkeypatch):
    settings.SOCKETS_PER_PROCESS = 2
    monkeypatch.setattr(full, "_warned_at", {})
    refused = REFUSED.labels(limit="sockets_per_process")
    before = refused.value
    with captured_logs("feeds.limits") as lines:
        tabs = [server.connect(UserFactory()) for _ in range(2)]
        tabs[-1].hello()
        assert [server.connect(UserFactory()).hear_close() for _ in range(3)] == [1013] * 3
    assert refused.value - before == 3
    assert [(line["setting"], line["most"]) for line in lines] == [("SOCKETS_PER_PROCESS", 2)]
    tabs[0].leave()
    server.connect(UserFactory()).hello()


def test_the_figures_of_live_push_are_in_the_metrics(server, client):
    server.connect(UserFactory()).hello()
    server.run(rounds.make_round())
    shown = {line.split()[0] for line in client.get("/metrics").content.decode().splitlines()}
    for name in ("hub_hears", "hint_seconds_count", "sockets_open", "sockets_behind_total", "hints_lost_total"):
        assert f"airy_{name}" in shown
    assert "airy_round_made_timestamp_seconds" in shown
    assert {f'airy_notes_sent_total{{path="{path}"}}' for path in ("live", "read")} <= shown
    assert {f'airy_sockets_waiting{{read="{read}"}}' for read in ("session", "stream")} <= shown


def test_a_client_that_sends_nothing_is_closed(server, monkeypatch):
    monkeypatch.setattr(connection, "HELLO_WITHIN", 0.05)
    assert server.connect(UserFactory()).hear_close() == 4408


def test_a_client_that_does_not_take_frames_is_closed(server, monkeypatch, eventually):
    monkeypatch.setattr(connection, "SEND_WITHIN", 0.05)
    monkeypatch.setattr(connection, "CLOSE_WITHIN", 0.05)
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    tab.communicator.output_queue._maxsize = 1
    for number in range(3):
        notify_of_follower(user, number)
    eventually(lambda: not list(open_sockets))
