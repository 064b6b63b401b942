"""Watermark: which deliveries of a channel may be acknowledged, and with how few words."""

from __future__ import annotations

from collections.abc import Iterable


class Watermark:
    """Keeps account of a channel's delivery tags, which count from 1.

    One acknowledgement settles a tag and all before it, so it may go no further than the first that is still open.
    """

    def __init__(self) -> None:
        self._lowest_open = 1
        self._done: set[int] = set()  # and not yet acknowledged
        self._gone: set[int] = set()  # settled with the broker past an open one

    @property
    def is_held_up(self) -> bool:
        """Whether something is done past an open one and not yet acknowledged."""
        return bool(self._done)

    def done(self, tags: Iterable[int]) -> None:
        """These have their outcome."""
        self._done.update(tags)

    def gone(self, tags: Iterable[int]) -> None:
        """These were given back."""
        self._gone.update(tags)

    def advance(self) -> int:
        """The tag up to which all may be acknowledged at once, or 0 if there is none new."""
        last_done = 0
        while (tag := self._lowest_open) in self._done or tag in self._gone:
            if tag in self._done:
                self._done.remove(tag)
                last_done = tag
            self._gone.discard(tag)
            self._lowest_open += 1
        return last_done

    def overtakers(self, *, more_than: int = 0) -> list[int]:
        """The tags that are done past an open one, if there are more than so many; they are taken as acknowledged."""
        if len(self._done) <= more_than:
            return []
        tags = sorted(self._done)
        self._gone |= self._done
        self._done = set()
        return tags
