"""once: carry out what a form asks for, one time only, however often the form is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.utils import timezone
from django.utils.crypto import salted_hmac

from events.db import committed
from feeds.models import SentForm, User

T = TypeVar("T")
#: Old rows that are deleted with each new one.
FORGOTTEN_AT_ONCE = 20
#: For so long the same content by another form is asked about: somebody went back to a page that was loaded anew.
ASKED_ABOUT = dt.timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T]):
    """What a form led to. address: the path of what was made. made: it; None if the same form made it before."""

    address: str
    made: T | None


class SentBeforeError(Exception):
    """This form was sent before, with other content; or this content, by another form, a moment ago.

    address: the path of what was made then.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


def once(
    user: User,
    *,
    key: str,
    content: str,
    act: Callable[[], T | None],
    address: Callable[[T], str],
    asked: bool = False,
) -> Done[T] | None:
    """Call `act`, unless the user sent the form with this key before. Returns None if `act` did.

    key: of the form; without one (""), `act` is always called. content: all that was typed, and where. address: the
    path of what `act` made. asked: the user was asked already, and wants a second one. Of two forms with one key at
    once, the second waits for the first.

    Raises SentBeforeError if the key is known with other content, or the content is of minutes ago and the user was not
    asked; and whatever `act` raises.
    """
    if not key:
        made = act()
        return None if made is None else Done(address=address(made), made=made)
    with committed():
        # The first inserts. The second waits at the unique key, then finds the row.
        sent, is_first = SentForm.objects.get_or_create(
            user=user, key=_digest("key", key), defaults={"digest": _digest("content", content)}
        )
        if not is_first:
            if sent.digest != _digest("content", content):
                raise SentBeforeError(sent.address)
            return Done(address=sent.address, made=None)
        if not asked and (alike := _sent_just_now(sent)) is not None:
            raise SentBeforeError(alike.address)
        made = act()
        if made is None:
            sent.delete()
            return None
        sent.address = address(made)
        sent.save(update_fields=["address"])
        SentForm.objects.forget(FORGOTTEN_AT_ONCE)
        return Done(address=sent.address, made=made)


def _sent_just_now(sent: SentForm) -> SentForm | None:
    alike = SentForm.objects.filter(user=sent.user, digest=sent.digest, sent_at__gt=timezone.now() - ASKED_ABOUT)
    return alike.exclude(pk=sent.pk).order_by("-pk").first()


def _digest(part: str, text: str) -> str:
    """With the secret key of the site: a short text could be guessed from a plain digest."""
    return salted_hmac(f"feeds.once/{part}", text.encode(errors="replace"), algorithm="sha256").hexdigest()
