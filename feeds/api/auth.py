"""Auth: the user of a request, by API token or session cookie."""

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
from feeds.errors import NotAllowedError
from feeds.lists.visibility import Viewer
from feeds.models import ApiToken, User
from feeds.origins import is_from_this_site


class Request(HttpRequest):
    """A request of a user."""

    auth: User


class OpenRequest(HttpRequest):
    """A request of a user or of a visitor who is not signed in."""

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
    """The session cookie, for browsers. A request that writes needs the CSRF token as well."""

    param_name = settings.SESSION_COOKIE_NAME

    def _get_key(self, request: HttpRequest) -> str | None:
        # The inherited method checks the CSRF token first. Here a visitor gets 401, and only a user can miss the token.
        return request.COOKIES.get(self.param_name)

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        if not isinstance(request.user, User):
            if user_id := request.session.get(SESSION_KEY):
                _refuse_banned(User.objects.filter(pk=user_id))
            return None
        if check_csrf(request):
            raise NotAllowedError(
                _("The CSRF token is missing or wrong. Send the csrftoken cookie in the X-CSRFToken header.")
            )
        return request.user


def anonymous(request: HttpRequest) -> AnonymousUser:
    """A visitor who is not signed in."""
    return AnonymousUser()


def visitor_of_this_site(request: HttpRequest) -> AnonymousUser:
    """A visitor who signs in or registers. A program needs no CSRF token for that. Raises NotAllowedError for a page of
    another site.
    """
    if not is_from_this_site(request):
        raise NotAllowedError(_("Signing in from another site is not allowed."))
    return AnonymousUser()


SIGNED_IN = [Token(), Session()]
USER_OR_VISITOR = [*SIGNED_IN, anonymous]


def _refuse_banned(claimed: QuerySet[User]) -> None:
    """Raises NotAllowedError if one of these users, of a session or token, is banned."""
    if claimed.filter(is_active=False).exists():
        raise NotAllowedError(_("This account has been deactivated."))
