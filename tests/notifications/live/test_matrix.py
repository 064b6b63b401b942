"""The matrix of the socket: what each kind of person hears after each op. An op without a rule fails."""

from __future__ import annotations

import pytest

from events.testing import deliver
from notifications.live.socket import NotificationSocket
from tests.support.factories import PostFactory
from tests.support.people import KINDS, People
from tests.support.websocket import Server, Tab

CLOSED = {"visitor": 4401, "banned": 4403}
#: The op that answers each op; None: nothing is answered.
ANSWERS = {"hello": "ready", "ping": "pong", "read": "ack", "watch": "counts", "unwatch": None}
#: For whom the answer does not come: between them and the author is a block.
UNANSWERED = {"watch": {"blocked", "blocker"}}


@pytest.fixture
def people(transactional_db: None) -> People:
    return People()


def test_every_op_has_a_rule_and_every_rule_its_op() -> None:
    known = {name.removeprefix("_on_") for name in vars(NotificationSocket) if name.startswith("_on_")}
    without, gone = known - ANSWERS.keys(), ANSWERS.keys() - known
    assert not without, f"Say in tests/notifications/live/test_matrix.py who may do this: {without}"
    assert not gone, f"The socket does not know these ops: remove their rules: {gone}"


def test_each_kind_of_person_hears_after_each_op_what_its_rule_says(server: Server, people: People) -> None:
    others = [PostFactory().pk, PostFactory().pk]
    deliver()
    heard = {}
    for kind in KINDS:
        client = None if kind == "visitor" else people.browser(kind)
        tab = server.connect(client=client)
        if kind in CLOSED:
            assert tab.hear_close() == CLOSED[kind]
        else:
            heard[kind] = {op: after(tab, op, people.post.pk, others) for op in ANSWERS}
    wanted = {
        kind: {op: None if kind in UNANSWERED.get(op, ()) else answer for op, answer in ANSWERS.items()}
        for kind in heard
    }
    assert len(heard) >= 7
    assert heard == wanted


def after(tab: Tab, op: str, post_id: int, others: list[int]) -> str | None:
    """The op of what is heard after an op about a post; None if it is nothing."""
    fields = {"hello": {"v": 1, "last_seq": None}, "read": {"upto": 0}, "watch": {"now": True, "post_id": post_id}}
    tab.say(op, **fields.get(op, {"post_id": post_id}))
    if op == "watch":
        # Posts that everyone may watch are answered after it, so that nothing heard means that nothing comes.
        return "counts" if post_id in [number for other in others for number in up_to(tab, other)] else None
    if ANSWERS[op]:
        return str(tab.hear()["op"])
    tab.assert_nothing_heard()
    return None


def up_to(tab: Tab, post_id: int) -> list[int]:
    """The posts whose counts are heard, up to this one, which is watched now."""
    tab.say("watch", post_id=post_id, now=True)
    heard = []
    while post_id not in heard:
        heard.append(tab.hear()["post_id"])
    return heard
