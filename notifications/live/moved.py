"""Moved: a hint that a user's stream changed, as it came from the layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notifications.live.outgoing import Outgoing, note


class Moved:
    """A hint that a user's stream changed (see `push.hints.StreamHint`), and the frames of its notice."""

    __slots__ = ("_frames", "_notice", "read_upto", "reads", "seq", "unread")

    def __init__(self, hint: Mapping[str, Any]) -> None:
        self.seq, self.unread, self.read_upto = hint["seq"], hint["unread"], hint["read_upto"]
        #: None: a process of the release before does not count them.
        self.reads: int | None = hint.get("reads")
        self._notice: Mapping[str, Any] | None = hint["notice"]
        self._frames: dict[str, Outgoing] = {}

    @property
    def has_notice(self) -> bool:
        """Whether one notice has changed; else only some were read."""
        return self._notice is not None

    def frame(self, language: str) -> Outgoing:
        """The frame of the notice."""
        assert self._notice is not None
        if language not in self._frames:
            text = note(self._notice, seq=self.seq, unread=self.unread, language=language)
            self._frames[language] = Outgoing(text)
        return self._frames[language]
