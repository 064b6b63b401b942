"""Dead letters: found, read, requeued and discarded by an operator."""

import datetime as dt
import io
import json
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from events.bus import emit_many
from events.models import Attempt, Delivery, OutboxMessage, StoredEvent, Straggler
from events.repair.dead_letters import ROWS_PER_CHUNK, dead_letters, discard, groups, requeue
from events.testing import deliver
from tests.effects.events import Rang
from tests.effects.models import Effect

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("dead_letters", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def die(*moods: str) -> list[Delivery]:
    """Events that end as dead letters of `moody`."""
    with transaction.atomic():
        emit_many([Rang(number=number, mood=mood) for number, mood in enumerate(moods)])
    deliver()
    return list(Delivery.objects.filter(state="dead", subscriber="effects.moody").order_by("pk"))


def give_up(count: int, *, reason: str = "Boom: {}", body: bytes | None = None) -> None:
    """Dead letters by the thousand, with their events."""
    ids = [uuid.uuid4() for _ in range(count)]
    StoredEvent.objects.bulk_create(
        [
            StoredEvent(event_id=one, topic="bell.rang", source="/airy", data={"number": n}, correlation_id=one)
            for n, one in enumerate(ids)
        ]
    )
    Delivery.objects.bulk_create(
        [
            Delivery(
                event_id=one, subscriber="effects.moody", state="dead", attempts=6, reason=reason.format(n), body=body
            )
            for n, one in enumerate(ids)
        ]
    )


def test_the_list_tells_dead_letters_apart_by_subscriber_and_reason_whatever_the_numbers() -> None:
    give_up(40, reason="KeyError: no post {}")
    give_up(3, reason="TimeLimitExceeded")
    (many, few) = groups(dead_letters())
    assert (many.count, few.count) == (40, 3)
    assert many.reason == "KeyError: no post 39"
    assert many.example == Delivery.objects.get(reason="KeyError: no post 39").pk
    shown = run("list")
    assert "KeyError: no post 39" in shown
    assert "KeyError: no post 38" not in shown
    assert [line["count"] for line in json.loads(run("list", "--json"))] == [40, 3]
    one_by_one = json.loads(run("list", "--all", "--limit", "5", "--json"))
    assert [line["reason"] for line in one_by_one][:3] == ["TimeLimitExceeded"] * 3
    assert len(one_by_one) == 5
    assert "38 more" in run("list", "--all", "--limit", "5")
    discard(dead_letters())
    assert run("list") == "No dead letters.\n"


def test_filters_narrow_to_what_fits_all_of_them() -> None:
    dead, _ = die("hopeless", "poison")
    old, event_id = dead.at - dt.timedelta(hours=3), str(dead.event_id)
    Delivery.objects.filter(pk=dead.pk).update(at=old)
    count = len(dead_letters())
    assert count == 3  # the batch subscriber has the poison, too
    for filters, expected in (
        (["--subscriber", "effects.moody"], 2),
        (["--topic", "bell.*"], 3),
        (["--topic", "post.*"], 0),
        (["--reason", "NO USE"], 1),
        (["--event", event_id], 1),
        (["--since", "2h"], 2),
        (["--until", "2h"], 1),
        (["--until", old.isoformat()], 0),
        (["--subscriber", "effects.moody", "--since", "2h"], 1),
    ):
        assert len(json.loads(run("list", "--all", "--json", *filters))) == expected, filters


def test_a_dead_letter_is_shown_with_its_event_and_every_traceback_and_steers_no_terminal() -> None:
    (dead,) = die("poison")
    evil = "\x1b]0;owned\x07 \x9b31m \u202egnp"
    Delivery.objects.filter(pk=dead.pk).update(reason=evil, body=b"\x1b[2J\xff{}")
    Attempt.objects.filter(number=1).update(traceback=f"Traceback {evil}")
    shown = run("show", str(dead.pk))
    assert [part for part in ("\x1b", "\x07", "\x9b", "\u202e") if part in shown] == []
    assert r"\x1b]0;owned\x07 \x9b31m \u202egnp" in shown
    assert r"\x1b[2J\xff{}" in shown
    assert "bell.rang version 1, subject bell/0" in shown
    assert shown.count("ValueError: poison") >= 2
    assert "Attempt 3" in shown
    assert "\x1b" not in run("list") + run("list", "--all")
    described = json.loads(run("show", str(dead.pk), "--json"))
    assert described["event"]["data"] == {"number": 0, "mood": "poison"}
    assert [failure["attempt"] for failure in described["failures"]] == [1, 2, 3]
    with pytest.raises(CommandError, match="no dead letter 999999"):
        run("show", "999999")


def test_what_was_mended_is_requeued_and_has_its_effect_once() -> None:
    first, second = die("hopeless", "hopeless")
    StoredEvent.objects.update(data={"number": 7, "mood": "calm"})
    assert "1 would be requeued" in run("requeue", str(first.pk), "--dry-run")
    assert not OutboxMessage.objects.exists()
    assert "1 requeued" in run("requeue", str(first.pk))
    deliver()
    assert Delivery.objects.get(pk=first.pk).state == "done"
    assert Delivery.objects.get(pk=second.pk).state == "dead"
    assert Effect.objects.filter(subscriber="moody").count() == 1
    assert Straggler.objects.filter(event_id=first.event_id).count() == 1


def test_bytes_that_cannot_be_read_stay_when_all_are_requeued() -> None:
    give_up(2)
    Delivery.objects.create(event_id=uuid.uuid4(), subscriber="effects.moody", state="dead", body=b"\0 gibberish")
    said = run("requeue", "--everything", "--yes")
    assert "2 requeued" in said
    assert "1 cannot be read" in said
    assert bytes(dead_letters().get().body) == b"\0 gibberish"
    assert "1 discarded" in run("discard", "--subscriber", "effects.moody")
    assert Delivery.objects.filter(state="discarded").count() == 1


def test_several_are_decided_upon_only_with_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    give_up(2)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for verb in ("requeue", "discard"):
        with pytest.raises(CommandError, match=r"2 dead letters.*--yes"):
            run(verb, "--reason", "Boom")
        with pytest.raises(CommandError, match="--everything"):
            run(verb, "--yes")
        with pytest.raises(CommandError, match="999999"):
            run(verb, "999999", "--yes")
    assert dead_letters().count() == 2
    terminal = io.StringIO("no\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(CommandError, match="Nothing was changed"):
        run("discard", "--everything")
    assert dead_letters().count() == 2


def test_a_time_that_is_none_is_refused_with_examples() -> None:
    with pytest.raises(CommandError, match="2026-11-25T10:30"):
        run("list", "--since", "yesterday")


def test_thousands_are_requeued_in_chunks_with_progress_and_nothing_that_dies_meanwhile() -> None:
    count = 2 * ROWS_PER_CHUNK + 500
    give_up(count, body=b"x" * 100)
    steps: list[int] = []

    def advance(step: int) -> None:
        steps.append(step)
        give_up(1)

    assert requeue(dead_letters(), advance=advance) == (count, 0)
    assert steps == [ROWS_PER_CHUNK, ROWS_PER_CHUNK, 500]
    assert dead_letters().count() == 3
    assert OutboxMessage.objects.filter(subscriber="effects.moody", attempt=1, due__isnull=False).count() == count
    assert set(Delivery.objects.filter(state="retrying").values_list("attempts", flat=True)) == {0}
    assert discard(dead_letters()) == 3
