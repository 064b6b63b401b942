"""Deeds: what a visitor sent before signing in. One is kept in the session, for an hour, and goes on after it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.sessions.models import Session
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.translation import gettext as _

from events.db import committed
from feeds.errors import NotAllowedError
from feeds.limits import SAFE_METHODS
from feeds.origins import is_from_this_site
from feeds.views.access import View, page_before, to_sign_in

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: The name of the deed in the session.
KEPT = "kept_deed"
#: Seconds for which it is kept.
KEPT_FOR = 3600
#: Size of the largest form that is kept, compressed as the session is.
MOST_BYTES = 120_000
#: Expired sessions that are deleted with each deed that is kept.
FORGOTTEN_AT_ONCE = 20
#: The field with the token against forged forms, which is not kept.
TOKEN = "csrfmiddlewaretoken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A form that was sent. address: its path with the query. values: of the fields. at: Unix time, in seconds."""

    address: str
    values: dict[str, list[str]]
    at: float

    @classmethod
    def sent_with(cls, request: HttpRequest) -> Deed:
        """What the request sends, without its token."""
        values = {name: values for name, values in request.POST.lists() if name != TOKEN}
        return cls(address=request.get_full_path(), values=values, at=time.time())

    @property
    def has_expired(self) -> bool:
        """Whether its hour is over."""
        return not 0 <= time.time() - self.at < KEPT_FOR

    @property
    def waiting(self) -> StrOrPromise:
        """The sentence that the sign-in page says of it; empty if it is not one that is kept."""
        return waiting_at(urlsplit(self.address).path)

    def is_of_another(self, user_id: int) -> bool:
        """Whether its form was shown to another user than this one."""
        return self.values.get("as", [""])[-1] not in {"", str(user_id)}

    def sent_again(self, request: HttpRequest) -> HttpRequest:
        """A copy of the request that sends this form in its stead, for the user who has signed in with it."""
        address, again = urlsplit(self.address), copy.copy(request)
        values = QueryDict(mutable=True)
        for name, several in self.values.items():
            values.setlist(name, several)
        again.path = again.path_info = address.path
        again.META = {**request.META, "PATH_INFO": address.path, "QUERY_STRING": address.query}
        again.GET = QueryDict(address.query)
        again.POST = values  # type: ignore[assignment]
        again.resolver_match = None
        again.csrf_processing_done = True  # type: ignore[attr-defined] # its own token was checked when it was kept
        again.carried_on = True  # type: ignore[attr-defined]
        return again


def keeps(waiting: StrOrPromise) -> Callable[[View], View]:
    """Decorate a view: the form that a visitor sends to it is kept, and goes on after the sign-in.

    waiting: what the sign-in page says of it.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.user.is_authenticated or request.method in SAFE_METHODS:
                return view(request, *args, **kwargs)
            _keep(request)
            return to_sign_in(request)

        enter.waiting = waiting  # type: ignore[attr-defined]
        return enter

    return decorate


def waiting_at(path: str) -> StrOrPromise:
    """What the sign-in page says of a form that was sent to this path; empty if its view keeps none."""
    try:
        sentence: StrOrPromise = getattr(resolve(path).func, "waiting", "")
    except Resolver404:
        return ""
    return sentence


def kept(request: HttpRequest) -> Deed | None:
    """The deed in the session; None if there is none, or its hour is over."""
    deed = _read(request)
    return None if deed is None or deed.has_expired else deed


def take(request: HttpRequest) -> Deed | None:
    """Remove the deed from the session; it is also returned if its hour is over."""
    deed = _read(request)
    if request.session.pop(KEPT, None) is not None:
        request.session.set_expiry(None)
    return deed


def say_carried_on(request: HttpRequest, message: str) -> None:
    """Say what was done, if it went on after a sign-in: otherwise the page shows it."""
    if getattr(request, "carried_on", False):
        messages.success(request, message)


def can_be_shown(request: HttpRequest) -> bool:
    """Whether a page may show what this request sent, to be sent again.

    Only what a page of ours sent: else another site could put words into the user's mouth.
    """
    if request.method in SAFE_METHODS or not waiting_at(request.path_info):
        return False
    return is_from_this_site(request) if "Origin" in request.headers else page_before(request, "") != ""


def _read(request: HttpRequest) -> Deed | None:
    kept = request.session.get(KEPT)
    return Deed(**kept) if kept else None


def _keep(request: HttpRequest) -> None:
    deed = asdict(Deed.sent_with(request))
    if len(signing.dumps(deed, compress=True)) > MOST_BYTES:
        raise NotAllowedError(_("This is too long to be kept. Sign in in another tab, then send it again here."))
    _forget_expired_sessions()
    request.session[KEPT] = deed
    request.session.set_expiry(KEPT_FOR)


def _forget_expired_sessions() -> None:
    """A visitor needs no account to fill sessions: each new one makes room for itself."""
    with committed():
        expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
        some = expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]
        Session.objects.filter(pk__in=list(some)).delete()
