"""Once: a form that makes something makes one thing; changed and sent again, it asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from feeds import actions
from feeds.forms import OnceForm
from feeds.views.access import UserRequest

T = TypeVar("T")
#: Fields that say how a form came, and not what was typed.
CARRIERS = {"csrfmiddlewaretoken", "next", "as", "preview"}


def once(
    request: UserRequest, form: OnceForm, act: Callable[..., T], *, address: Callable[[T], str], **more: object
) -> actions.Done[T] | None:
    """Call an action with the user, the values of a form and `more`, unless this very form did it before.

    address: the path of what the action made. Returns None if the form has errors; one of them may be the question
    whether to send it a second time.
    """
    if not form.is_valid():
        return None
    typed = {
        name: request.POST.getlist(name) for name in request.POST if name not in {*CARRIERS, form.add_prefix("key")}
    }
    try:
        return actions.once(
            request.user,
            key=form.key_for(request.path),
            content=json.dumps([request.path, typed], sort_keys=True),
            asked=form.was_asked,
            act=lambda: form.act(act, request.user, **more),
            address=address,
        )
    except actions.SentBeforeError as before:
        form.ask(before.address)
        return None
