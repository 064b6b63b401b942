"""Replay: events of the log once more to one subscriber alone."""

import datetime as dt
import io
import re
import time
import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from events.bus import emit_many, subscriber, suppressed
from events.models import Delivery, OutboxMessage, StoredEvent, Straggler
from events.repair.announce import announce
from events.repair.replay import Replayed, events_for, replay
from events.subscription import subscriptions
from events.testing import deliver
from tests.effects.events import BalanceChanged, Rang

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard() -> Any:
    """What two new subscribers heard, one of them replayable; gone after the test."""
    before, heard = dict(subscriptions), {"replayable": [], "once": []}
    suffix = uuid.uuid4().hex[:8]

    @subscriber(Rang, name=f"effects.replayable_{suffix}", replayable=True)
    def replayable(event: Rang) -> None:
        heard["replayable"].append((event.number, event.meta.run))

    @subscriber(Rang, name=f"effects.once_{suffix}")
    def once(event: Rang) -> None:
        heard["once"].append((event.number, event.meta.run))

    heard["suffix"] = suffix
    yield heard
    subscriptions.clear()
    subscriptions.update(before)


def ring(count: int, *, start: int = 0, mood: str = "calm") -> None:
    with transaction.atomic():
        emit_many([Rang(number=number, mood=mood) for number in range(start, start + count)])


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("replay", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def counted(said: str) -> dict[str, int]:
    return {word: int(number.replace(",", "")) for number, word in re.findall(r"(\d[\d,]*) (?:would be )?(\w+)", said)}


def test_what_a_new_subscriber_never_had_is_added_as_run_zero_to_it_alone(heard: Any) -> None:
    ring(5)
    deliver()
    heard["once"].clear()
    name = f"effects.once_{heard['suffix']}"
    Delivery.objects.filter(subscriber=name).delete()
    announce()
    assert counted(run(name, "--topic", "bell.*", "--dry-run"))["added"] == 5
    assert not OutboxMessage.objects.exists()
    assert counted(run(name, "--topic", "bell.*"))["added"] == 5
    rows = OutboxMessage.objects.values_list("subscriber", "run", "attempt").distinct()
    assert list(rows) == [(name, 0, 1)]
    assert not OutboxMessage.objects.filter(due=None).exists(), "fresh events go first"
    assert Straggler.objects.count() == 5
    assert counted(run(name, "--everything"))["left"] == 5
    deliver()
    assert sorted(heard["once"]) == [(number, 0) for number in range(5)]


def test_what_was_done_runs_again_as_the_next_run_where_that_is_harmless_and_is_skipped_elsewhere(heard: Any) -> None:
    ring(4)
    deliver()
    name = f"effects.replayable_{heard['suffix']}"
    for expected in (1, 2):
        assert counted(run(name, "--everything"))["run"] == 4
        assert counted(run(name, "--everything"))["left"] == 4, "owed already"
        deliver()
        Straggler.objects.all().delete()
        assert heard["replayable"].count((3, expected)) == 1
    once = f"effects.once_{heard['suffix']}"
    with pytest.raises(CommandError, match=r"done all 4.*replayable=True"):
        run(once, "--everything")
    Delivery.objects.filter(subscriber=once, event_id=StoredEvent.objects.first().event_id).update(state="discarded")
    said = counted(run(once, "--everything"))
    assert (said["reopened"], said["skipped"]) == (1, 3)
    deliver()
    assert len(heard["once"]) == 5


def test_dead_letters_are_reopened_and_retries_left_alone(heard: Any) -> None:
    ring(3, mood="hopeless")
    deliver()
    StoredEvent.objects.update(data={"number": 1, "mood": "calm"})
    waiting = Delivery.objects.filter(subscriber="effects.moody").last()
    Delivery.objects.filter(pk=waiting.pk).update(state="retrying")
    said = counted(run("effects.moody", "--topic", "bell.rang"))
    assert (said["reopened"], said["left"]) == (2, 1)
    deliver()
    assert Delivery.objects.filter(subscriber="effects.moody", state="done", run=0).count() == 2


def test_filters_choose_by_subject_number_time_and_pattern(heard: Any) -> None:
    ring(10)
    with transaction.atomic():
        emit_many([BalanceChanged(account_id=1, before=0, after=1)])
    deliver()
    name = f"effects.replayable_{heard['suffix']}"
    numbers = [event.sequence for event in StoredEvent.objects.filter(topic="bell.rang").order_by("sequence")]
    StoredEvent.objects.filter(sequence__in=numbers[:2]).update(time=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    def count(*filters: str) -> int:
        return counted(run(name, *filters, "--dry-run")).get("run", 0)

    assert count("--everything") == 10
    assert count("--subject", "bell/3") == 1
    assert count("--from-sequence", str(numbers[4]), "--to-sequence", str(numbers[6])) == 3
    assert count("--until", "2026-01-02") == 2
    assert count("--since", "1h") == 8
    assert count("--topic", "*.rang", "--since", "1h", "--to-sequence", str(numbers[2])) == 1
    assert "No events match" in run(name, "--subject", "bell/999")


def test_suppressed_events_are_replayed_only_when_asked_for(heard: Any) -> None:
    with transaction.atomic(), suppressed("an import"):
        emit_many([Rang(number=1)])
    name = f"effects.once_{heard['suffix']}"
    assert "No events match" in run(name, "--everything")
    assert counted(run(name, "--everything", "--suppressed"))["added"] == 1
    deliver()
    assert heard["once"] == [(1, 0)]


def test_wrong_use_is_told_with_the_cure() -> None:
    ring(1)
    for arguments, cure in (
        (["effects.mody", "--everything"], "did you mean effects.moody"),
        (["effects.moody"], "--everything for the whole log"),
        (["effects.moody", "--topic", "post.published"], "it subscribes to bell.rang"),
        (["effects.moody", "--everything", "--rate", "fast"], "for example 100/s"),
        (["effects.moody", "--since", "once"], "how long ago"),
    ):
        with pytest.raises(CommandError, match=cure):
            run(*arguments)
    assert OutboxMessage.objects.count() == 1


def test_the_rate_is_kept_between_transactions(heard: Any) -> None:
    ring(30)
    deliver()
    began = time.monotonic()
    said = counted(run(f"effects.replayable_{heard['suffix']}", "--everything", "--rate", "20/s"))
    assert said["run"] == 30
    assert time.monotonic() - began >= 1.4


def test_an_interrupted_replay_says_where_to_go_on_and_nothing_is_done_twice(heard: Any) -> None:
    ring(30)
    deliver()
    name = f"effects.replayable_{heard['suffix']}"
    events = events_for(name)

    def interrupt(done: Replayed) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(name, events, rate=10, advance=interrupt)
    assert OutboxMessage.objects.count() == 10
    following = events_for(name, from_sequence=events[10].sequence)
    assert replay(name, following).again == 20
    deliver()
    assert sorted(heard["replayable"]) == sorted((number, run) for number in range(30) for run in (0, 1))


def test_ctrl_c_ends_the_command_with_the_number_to_go_on_from(heard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ring(25)
    deliver()

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("events.repair.replay.time.sleep", stop)
    name = f"effects.replayable_{heard['suffix']}"
    with pytest.raises(CommandError) as stopped:
        run(name, "--everything", "--rate", "10/s")
    first = StoredEvent.objects.filter(topic="bell.rang").order_by("sequence")[9]
    assert f"--from-sequence {first.sequence + 1}" in str(stopped.value)
    assert stopped.value.returncode == 130
    assert OutboxMessage.objects.count() == 10
