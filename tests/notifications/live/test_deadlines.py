"""Deadlines: calls that are made unless they are called off."""

from __future__ import annotations

import asyncio

import pytest

from notifications.live.deadlines import Deadlines

pytestmark = pytest.mark.anyio


async def test_what_is_called_off_is_not_called_and_all_else_is_in_the_order_of_its_time() -> None:
    called: list[str] = []
    done = asyncio.Event()

    def call(name: str) -> None:
        called.append(name)
        if name == "last":
            done.set()

    calls = {name: lambda name=name: call(name) for name in ("last", "first", "never", "second")}
    deadlines = Deadlines()
    for name, seconds in (("last", 0.06), ("first", 0.0), ("never", 0.02), ("second", 0.03)):
        deadlines.set(calls[name], seconds=seconds)
    deadlines.call_off(calls["never"])
    await asyncio.wait_for(done.wait(), 10)
    assert called == ["first", "second", "last"]


async def test_a_call_may_set_another_one() -> None:
    deadlines, done = Deadlines(), asyncio.Event()
    deadlines.set(lambda: deadlines.set(done.set, seconds=0.0), seconds=0.0)
    await asyncio.wait_for(done.wait(), 10)
