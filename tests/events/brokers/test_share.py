"""Share: what needs no broker of its own; `tests/conformance/test_share.py` has the rest."""

from events.brokers.breaker import FAILURES_IN_A_ROW, LONGEST_PAUSE, Breaker
from events.brokers.embedded import EmbeddedBroker
from tests.support.broker_case import only, working
from tests.support.logs import captured_logs


def test_a_worker_of_one_thread_is_warned_about() -> None:
    with captured_logs("events.delivery") as lines, working(EmbeddedBroker(), threads=1):
        pass
    assert ["one thread" in line["event"] for line in lines if line["log_level"] == "warning"] == [True]


def test_the_pauses_double_up_to_the_longest_and_one_success_ends_them() -> None:
    with only(None, lambda event: None) as subscription:
        breaker = Breaker(subscription)
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.failed()
    assert not breaker.is_open
    pauses: list[int] = []
    for _ in range(8):
        breaker.begin_try()
        breaker.failed()
        breaker.failed()  # of one that began before
        breaker.end_try()
        pauses.append(round(breaker.seconds_until_try()))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert max(pauses) == LONGEST_PAUSE
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.seconds_until_try() == 0
