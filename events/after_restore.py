"""After restore: what an app does when an older dump of the database was restored and the world has seen more."""

from __future__ import annotations

from collections.abc import Callable

Restorer = Callable[[], str]
#: By module and name.
restorers: dict[str, Restorer] = {}


def after_restore(function: Restorer) -> Restorer:
    """Declare what `manage.py restored` shall call, in a transaction. It returns a sentence that says what it did, and
    leaves nothing wrong when it is called again.

    Call it where Django imports it at the start, such as in a module that `AppConfig.ready` imports.
    """
    restorers[f"{function.__module__}.{function.__qualname__}"] = function
    return function
