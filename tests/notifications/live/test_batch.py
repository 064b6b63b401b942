"""What many sockets ask for is read together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from notifications.live.batch import Batch

pytestmark = pytest.mark.anyio


class Squares:
    """Answers with squares, and remembers what it was asked at once; a negative number cannot be answered."""

    def __init__(self) -> None:
        self.reads: list[list[int]] = []

    def __call__(self, asked: Sequence[int]) -> dict[int, int]:
        self.reads.append(list(asked))
        if min(asked) < 0:
            raise ValueError("negative")
        return {one: one * one for one in asked}


async def test_what_is_asked_while_a_read_runs_is_read_together_and_in_turn() -> None:
    squares = Squares()
    batch = Batch("test", squares, most=10)
    answers = await asyncio.gather(*(batch.ask(number) for number in range(25)))
    assert answers == [number * number for number in range(25)]
    assert squares.reads == [list(range(10)), list(range(10, 20)), list(range(20, 25))]


async def test_a_question_that_several_ask_is_read_once() -> None:
    squares = Squares()
    batch = Batch("test", squares, most=10)
    assert await asyncio.gather(batch.ask(3), batch.ask(3), batch.ask(4)) == [9, 9, 16]
    assert squares.reads == [[3, 4]]


async def test_an_error_reaches_those_who_asked_and_nobody_else() -> None:
    batch = Batch("test", Squares(), most=2)
    answers = await asyncio.gather(*(batch.ask(number) for number in (1, -1, 3)), return_exceptions=True)
    assert [type(one) for one in answers] == [ValueError, ValueError, int]
    assert await batch.ask(5) == 25


async def test_nothing_is_read_for_who_has_gone() -> None:
    squares = Squares()
    batch = Batch("test", squares, most=10)
    gone, there = batch.ask(1), batch.ask(2)
    gone.cancel()
    assert await there == 4
    assert squares.reads == [[2]]


async def test_if_all_have_gone_nothing_is_read() -> None:
    squares = Squares()
    batch = Batch("test", squares, most=10)
    batch.ask(1).cancel()
    await asyncio.sleep(0)
    assert await batch.ask(2) == 4
    assert squares.reads == [[2]]
