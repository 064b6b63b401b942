"""Auth: who asks, told by an API token, by the session cookie, or nobody."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.errors import AuthenticationError
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from feeds.actions import user_of_token
from feeds.errors import NotAllowed
from feeds.lists.visibility import Viewer
from feeds.models import ApiToken, User
from feeds.origins import is_from_this_site


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
            raise AuthenticationError(message=_("This token is not valid. Create a new one in your settings."))
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
            raise NotAllowed(
                _("The CSRF token is missing or wrong. Send the csrftoken cookie in the X-CSRFToken header.")
            )
        return request.user


def anonymous(request: HttpRequest) -> AnonymousUser:
    """Anybody else, who may read."""
    return AnonymousUser()


def stranger(request: HttpRequest) -> AnonymousUser:
    """One who is about to sign in. A program needs no CSRF token for that; a page of another site may not do it."""
    if not is_from_this_site(request):
        raise NotAllowed(_("Signing in from another site is not allowed."))
    return AnonymousUser()


SIGNED_IN = [Token(), Session()]
ANYBODY = [*SIGNED_IN, anonymous]


def _refuse_banned(claimed: QuerySet[User]) -> None:
    """Raises NotAllowed when a session or token is that of a user who was banned since."""
    if claimed.filter(is_active=False).exists():
        raise NotAllowed(_("This account has been deactivated."))
