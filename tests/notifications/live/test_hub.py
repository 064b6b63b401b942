"""The hub: one channel of the layer for all sockets of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.layers import channel_layers, get_channel_layer

from notifications.live import hub as module
from notifications.live.hub import Hub

pytestmark = pytest.mark.anyio


class Ear:
    """A socket that remembers what it gets."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.deaf = False

    def hear(self, text: str) -> None:
        if self.deaf:
            raise RuntimeError("deaf")
        self.heard.append(text)


def opened(message: Any) -> Callable[[Ear], None]:
    text = message["text"]
    if text == "broken":
        raise ValueError("broken")
    return lambda ear: ear.hear(text)


@pytest.fixture
def unaddressed() -> list[int]:
    return []


@pytest.fixture
def hub(settings: Any, unaddressed: list[int]) -> Iterator[Hub[Ear]]:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    channel_layers.backends.clear()
    yield Hub(opened, unaddressed=lambda: unaddressed.append(1))
    channel_layers.backends.clear()


async def tell(group: str, text: str) -> None:
    await get_channel_layer().group_send(group, {"type": "told", "text": text, "group": group, "sent_at": 0.0})


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.001)


async def test_each_group_hears_its_own_messages_in_order_and_the_layer_knows_one_channel(hub: Hub[Ear]) -> None:
    one, two = Ear(), Ear()
    await hub.join("a", one)
    await hub.join("a", two)
    await hub.join("b", two)
    for group, text in (("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")):
        await tell(group, text)
    await until(lambda: len(two.heard) == 3)
    assert (one.heard, two.heard) == (["1", "4"], ["1", "2", "4"])
    assert {channel for members in get_channel_layer().groups.values() for channel in members} == {hub._channel}


async def test_who_parts_hears_no_more_and_an_empty_group_is_left(
    hub: Hub[Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER", 0.01)
    ear, other = Ear(), Ear()
    await hub.join("a", ear)
    await hub.join("b", other)
    hub.part("a", ear)
    await until(lambda: "a" not in get_channel_layer().groups)
    await hub.join("a", ear)
    await tell("a", "again")
    await until(lambda: ear.heard == ["again"])


async def test_a_group_that_fills_again_meanwhile_is_not_left(hub: Hub[Ear], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER", 0.02)
    ear, other = Ear(), Ear()
    await hub.join("a", ear)
    hub.part("a", ear)
    await hub.join("a", other)
    await until(lambda: hub._leaving is not None and hub._leaving.done())
    await tell("a", "still there")
    await until(lambda: other.heard == ["still there"])
    assert ear.heard == []


async def test_a_message_that_cannot_be_opened_is_dropped_alone(hub: Hub[Ear]) -> None:
    ear = Ear()
    await hub.join("a", ear)
    await tell("a", "broken")
    await tell("a", "whole")
    await until(lambda: ear.heard == ["whole"])


async def test_a_message_of_the_release_before_asks_for_a_round(hub: Hub[Ear], unaddressed: list[int]) -> None:
    ear = Ear()
    await hub.join("a", ear)
    await get_channel_layer().group_send("a", {"type": "stream.moved", "text": "whose?"})
    await until(lambda: unaddressed == [1])
    assert ear.heard == []


async def test_a_socket_that_fails_keeps_no_other_from_its_message(hub: Hub[Ear]) -> None:
    ears = [Ear() for _ in range(5)]
    for ear in ears:
        await hub.join("a", ear)
    ears[2].deaf = True
    await tell("a", "1")
    await tell("a", "2")
    others = [ear for ear in ears if not ear.deaf]
    await until(lambda: all(ear.heard == ["1", "2"] for ear in others))
