"""action: the decorator of actions: one transaction, and refused to a banned user."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from events.db import committed
from feeds.actions.standing import require_active
from feeds.models import User

P = ParamSpec("P")
T = TypeVar("T")


def action(function: Callable[Concatenate[User, P], T]) -> Callable[Concatenate[User, P], T]:
    """Run the function in a transaction. Raises NotAllowedError for a user who is banned or deleted."""

    @wraps(function)
    def act(user: User, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with committed():
            require_active(user)
            return function(user, *args, **kwargs)

    return act
