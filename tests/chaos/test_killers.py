"""Messages that kill their worker, on RabbitMQ and embedded: each ends as a dead letter, its neighbours are done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from events.bus import emit_many
from events.models import Delivery, OutboxMessage
from tests.chaos.load.crash_points import FOLDER, counted
from tests.conformance.processes import Manage
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.effects import SUBSCRIBERS

#: `moody` may run three times: the run in which a message first takes its worker along, one of a group perhaps, and two
#: more, alone.
MOST_RUNS = 3


@pytest.mark.parametrize(
    ("total", "killers"),
    [(62, (20, 21)), pytest.param(203, (20, 21, 150), marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_several_killers_end_as_dead_letters_and_all_neighbours_are_done(
    manage: Manage, eventually: Callable[..., None], tmp_path: Path, total: int, killers: tuple[int, ...]
) -> None:
    with transaction.atomic():
        emit_many([Rang(number=number, mood="killer" if number in killers else "calm") for number in range(total)])
    if settings.AIRY_BROKER == "rabbitmq":
        # What a relay publishes twice, as its worker is killed before the rows are deleted, may run once more.
        relay = manage("relay")
        eventually(lambda: not OutboxMessage.objects.exists(), within=60)
        manage.kill(relay)
    for _ in range(2 if connection.vendor == "postgresql" else 1):
        manage.worker(**{FOLDER: str(tmp_path)})

    def settled() -> bool:
        final = Delivery.objects.filter(subscriber__startswith="effects.").exclude(state="retrying").count()
        return final == total * len(SUBSCRIBERS) and not OutboxMessage.objects.exists()

    eventually(settled, within=600)
    dead = {(one.subscriber, number_of(one)) for one in Delivery.objects.filter(state="dead")}
    assert dead == {("effects.moody", number) for number in killers}
    assert all("kills its worker" in one.reason for one in Delivery.objects.filter(state="dead"))
    runs = {number: counted(tmp_path, f"killer_{number}") for number in killers}
    assert all(1 <= count <= MOST_RUNS for count in runs.values()), runs
    assert set(Delivery.objects.filter(state="dead").values_list("attempts", flat=True)) == {MOST_RUNS}
    # The one that ran alone beside the first run of a killer, and nobody after that.
    assert Delivery.objects.filter(state="done", attempts__gt=1).count() <= len(killers)
    for name in SUBSCRIBERS:
        effects = Counter(Effect.objects.filter(subscriber=name).values_list("number", flat=True))
        expected = set(range(total)) - (set(killers) if name == "moody" else set())
        assert effects == Counter(expected), name
    print(f"killers' runs: {runs}")  # noqa: T201


def number_of(delivery: Delivery) -> int:
    event = delivery.stored_event
    assert event is not None
    return event.data["number"]
