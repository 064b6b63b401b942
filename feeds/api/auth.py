"""Auth: who asks, told by an API token, by the session cookie, or nobody."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext as _
from ninja.errors import AuthenticationError
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from feeds.actions import user_of_token
from feeds.errors import NotAllowedError
from feeds.lists.visibility import Viewer
from feeds.models import ApiToken, User


class Request(HttpRequest):
    """A request of somebody signed in."""

    auth: User


class OpenRequest(HttpRequest):
    """A request of anybody."""

    auth: Viewer


class Token(HttpBearer):
    """`Authorization: Bearer <token>`, for programs."""

    def authenticate(self, request: HttpRequest, token: str) -> User:
        user = user_of_token(token)
        if user is None:
            _refuse_banned(User.objects.filter(tokens__digest=ApiToken.digest_of(token)))
            raise AuthenticationError(message=_("This token is not valid."))
        request.user = user
        return user


class Session(APIKeyCookie):
    """The session cookie, for browsers; what changes something needs the CSRF token, too."""

    param_name = settings.SESSION_COOKIE_NAME

    def _get_key(self, request: HttpRequest) -> str | None:
        # Not as inherited: a stranger is to hear 401, and only one who is signed in that the CSRF token is missing.
        return request.COOKIES.get(self.param_name)

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        if not isinstance(request.user, User):
            if user_id := request.session.get(SESSION_KEY):
                _refuse_banned(User.objects.filter(pk=user_id))
            return None
        if check_csrf(request):
            raise NotAllowedError(_("The CSRF token is missing or wrong: send the csrftoken cookie as X-CSRFToken."))
        return request.user


def anonymous(request: HttpRequest) -> AnonymousUser:
    """Anybody else, who may read."""
    return AnonymousUser()


def stranger(request: HttpRequest) -> AnonymousUser:
    """One who is about to sign in. A program needs no CSRF token for that; a page of another site may not do it."""
    if not _origin.is_ours(request):
        raise NotAllowedError(_("Another site may not sign anybody in here."))
    return AnonymousUser()


class _Origin(CsrfViewMiddleware):
    """Django's rule which sites are this one. Browsers name the site whose page sends something, programs do not."""

    def is_ours(self, request: HttpRequest) -> bool:
        return "Origin" not in request.headers or self._origin_verified(request)  # type: ignore[attr-defined]


_origin = _Origin(HttpResponse)
SIGNED_IN = [Token(), Session()]
ANYBODY = [*SIGNED_IN, anonymous]


def _refuse_banned(claimed: QuerySet[User]) -> None:
    """Raises NotAllowedError when a session or token is that of a user who was banned since."""
    if claimed.filter(is_active=False).exists():
        raise NotAllowedError(_("This account is closed."))
