"""Features: what a broker promises beyond "at least once", each a question a case may ask before it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Features:
    """A feature that is absent is declared so, and its cases say "not promised"."""

    #: What was published outlives the workers and their connections.
    persistent: bool
    #: Several workers share the messages of one subscriber.
    competing: bool
    #: An only executor gets the messages of one line in the order of their commits.
    ordered: bool
    #: The messages of a line that has failed once still come in that order.
    ordered_after_failure: bool = False
    #: An urgent message overtakes those that already wait in the broker, past what a worker has taken ahead.
    priorities: bool
    #: How many messages of one subscriber a worker has taken ahead at most (group=1).
    ahead: int
    #: Other programs publish past the outbox.
    foreign: bool
    #: There is a server that has queues, closes connections and refuses messages.
    server: bool
    #: A new subscriber gets what was published before it was there. (Ours get it by replay alone.)
    old_messages: bool = False
