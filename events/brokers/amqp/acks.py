"""Acks: which deliveries of a channel may be acknowledged, and with how few acknowledgements."""

from __future__ import annotations

from collections.abc import Iterable


class AckWindow:
    """The delivery tags of a channel. They count from 1.

    One acknowledgement settles a tag and all before it, so it may go no further than the first open tag.
    """

    def __init__(self) -> None:
        self._lowest_open = 1
        #: Tags whose messages are done, and not yet acknowledged.
        self._done: set[int] = set()
        #: Tags above `_lowest_open` that are settled with the broker already.
        self._settled: set[int] = set()

    @property
    def is_held_up(self) -> bool:
        """Whether some message is done and not acknowledged, because an earlier one is open."""
        return bool(self._done)

    def done(self, tags: Iterable[int]) -> None:
        """These messages have their outcome."""
        self._done.update(tags)

    def given_back(self, tags: Iterable[int]) -> None:
        """These messages were given back to the broker."""
        self._settled.update(tags)

    def advance(self) -> int:
        """The tag up to which all may be acknowledged at once; 0 if there is no new one."""
        last_done = 0
        while (tag := self._lowest_open) in self._done or tag in self._settled:
            if tag in self._done:
                self._done.remove(tag)
                last_done = tag
            self._settled.discard(tag)
            self._lowest_open += 1
        return last_done

    def take_single(self, *, more_than: int = 0) -> list[int]:
        """The tags to acknowledge one by one: those that are done behind an open one, if they are more than
        `more_than`. From now on they count as acknowledged."""
        if len(self._done) <= more_than:
            return []
        tags = sorted(self._done)
        self._settled |= self._done
        self._done = set()
        return tags
