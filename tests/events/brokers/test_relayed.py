"""Relayed: whether a process reaches the broker."""

import pytest

from events.brokers import relayed
from events.brokers.relayed import reached
from events.figures import gauged


@pytest.fixture(autouse=True)
def _nobody_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "_reached", {})


def test_a_process_says_the_broker_is_up_while_all_that_need_it_reach_it() -> None:
    up = ("airy_broker_up", ())
    assert up not in gauged(), "nobody needs it: a relay that stands by, a web process"
    reached("worker", True)
    reached("relay", False)
    assert gauged()[up] == 0
    reached("relay", None)
    assert gauged()[up] == 1
