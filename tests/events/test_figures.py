"""Figures: what this process counts, and how the counts of several add up."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from events import figures
from events.figures import Counter, Gauge, Histogram, from_json, plus, to_json


@pytest.fixture(autouse=True)
def _own_families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "families", {})


@pytest.fixture
def threads_that_change_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_that_change_often")
def test_threads_that_count_at_once_lose_no_count() -> None:
    visits = Counter("shop_visits_total", "Visits", labels=["page"])
    times = Histogram("shop_seconds", "Times", bounds=(1, 2))

    def visit() -> None:
        for _ in range(5_000):
            visits.labels("basket").inc()
            times.observe(0.5, 1.5, 2.5)

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert visits.labels("basket").value == 40_000
    assert times.labels().value == [40_000, 40_000, 40_000, 180_000.0]


def test_more_label_sets_than_the_bound_count_as_other() -> None:
    visits = Counter("shop_visits_total", "Visits", labels=["page"])
    for number in range(Counter.MOST + 5):
        visits.labels(str(number)).inc()
    assert visits.labels("other").value == 5
    assert len(visits.known()) == Counter.MOST + 1


def test_wrong_names_and_labels_are_refused_with_the_cure() -> None:
    Gauge("shop_open", "Open shops")
    for name in ("shop_open", "shop_visits"):
        with pytest.raises(ValueError, match=r"choose another name|end in _total"):
            Counter(name, "Visits")
    with pytest.raises(ValueError, match="has the labels page"):
        Counter("shop_visits_total", "Visits", labels=["page"]).labels("a", "b")


def test_values_of_processes_add_up_and_survive_json() -> None:
    visits, times = Counter("shop_visits_total", "Visits", labels=["page"]), Histogram("shop_seconds", "T", bounds=(1,))
    visits.labels("basket").inc(3)
    visits.labels("empty")
    times.observe(0.5, 3)
    told = json.loads(json.dumps(to_json(figures.counted())))
    assert told == {"shop_visits_total": [["basket", 3]], "shop_seconds": [[[1, 1, 3.5]]]}, "without zeros"
    twice = plus(from_json(told), from_json(told))
    assert twice == {("shop_visits_total", ("basket",)): 6, ("shop_seconds", ()): [2, 2, 7.0]}
    assert plus(twice, from_json(told), sign=-1) == from_json(told)


def test_a_histogram_whose_bounds_have_changed_begins_anew() -> None:
    old, new = {("shop_seconds", ()): [1, 1, 1, 9.0]}, {("shop_seconds", ()): [1, 2, 3.0]}
    assert plus(old, new) == new


def test_a_gauge_that_was_never_set_or_cleared_says_nothing() -> None:
    hears = Gauge("shop_hears", "Whether it hears", across="min", otherwise=1)
    assert figures.gauged() == {}
    hears.set(0)
    assert figures.gauged() == {("shop_hears", ()): 0}
    hears.clear()
    assert figures.gauged() == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_child_of_a_fork_begins_at_zero_and_its_parent_goes_on() -> None:
    visits = Counter("shop_visits_total", "Visits")
    cell = visits.labels()
    cell.inc(7)
    reader, writer = os.pipe()
    if not (child := os.fork()):
        cell.inc(2)
        os.write(writer, str(figures.counted()[("shop_visits_total", ())]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert (os.read(reader, 10), cell.value) == (b"2", 7)
