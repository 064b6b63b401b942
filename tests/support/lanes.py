"""in_lanes: the order of the tests for workers that run them in parallel.

xdist's `worksteal` gives each worker a run of neighbouring tests, its lane; a worker that is done takes the second half
of the longest rest. So what is long stands at the head of a lane, and what shares a server in one lane.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

#: Seconds that a test may take, by its folder, module or fixture; the first that fits counts.
SECONDS = {
    "chaos/test_faults": 190,
    "chaos/test_killers": 30,
    "chaos/test_embedded": 20,
    "chaos/": 15,
    "events/relay/test_restart": 15,
    "events/worker/test_long_work": 15,
    "test_matrix": 30,
    "browser/test_hostile": 15,
    "browser/": 4,
    "node": 15,
    "manage": 10,
    "conformance/": 2,
}
#: Seconds of a test that is not listed.
SHORT = 1


def in_lanes(items: list[pytest.Item], *, workers: int) -> list[pytest.Item]:
    """The items, long ones at the heads of the lanes; one lane has none, so that no processor is idle."""
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    short = []
    for item in items:
        if _seconds(item) > SHORT:
            groups[_server(item)].append(item)
        else:
            short.append(item)
    lanes: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for group in sorted(groups.values(), key=_total, reverse=True):
        min(lanes[1:], key=_total).extend(group)
    ordered: list[pytest.Item] = []
    for number, lane in enumerate(lanes):
        size = (len(items) - len(ordered)) // (workers - number)
        room = max(size - len(lane), 0)
        ordered += lane + short[:room]
        short = short[room:]
    return ordered + short


def _total(items: list[pytest.Item]) -> int:
    return sum(map(_seconds, items))


def _place(item: pytest.Item) -> str:
    """Where it stands below tests/."""
    return item.path.as_posix().partition("/tests/")[2]


def _seconds(item: pytest.Item) -> int:
    place, fixtures = _place(item), getattr(item, "fixturenames", ())
    return next((seconds for where, seconds in SECONDS.items() if place.startswith(where) or where in fixtures), SHORT)


def _server(item: pytest.Item) -> str:
    """What tests have in common that share a server, else the test's own name."""
    if _place(item).startswith("browser/"):
        return "browser"
    return _place(item) if "node" in getattr(item, "fixturenames", ()) else item.nodeid
