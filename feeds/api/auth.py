"""Auth: the user of a request, by API token or session cookie."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.errors import AuthenticationError
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from feeds.actions import mark_used, token_of_secret
from feeds.errors import NotAllowedError
from feeds.limits import SAFE_METHODS
from feeds.lists.visibility import Viewer
from feeds.models import ApiToken, Scope, User
from feeds.origins import is_from_this_site


class Request(HttpRequest):
    """A request of a user. token: the one that came with it; None for a session."""

    auth: User
    token: ApiToken | None


class OpenRequest(HttpRequest):
    """A request of a user or of a visitor who is not signed in."""

    auth: Viewer


class Token(HttpBearer):
    """`Authorization: Bearer <token>`, for programs. scoped: whether the token must have the scope for the method."""

    def __init__(self, *, scoped: bool = True) -> None:
        super().__init__()
        self._scoped = scoped

    def authenticate(self, request: HttpRequest, token: str) -> User:
        found = token_of(request)
        if found is None:
            _refuse_banned(User.objects.filter(tokens__digest=ApiToken.digest_of(token)))
            raise AuthenticationError(
                message=_(
                    "This token is not valid, or ended with an earlier password. Create a new one in your settings."
                )
            )
        if found.has_expired:
            raise AuthenticationError(message=_("This token has expired. Create a new one in your settings."))
        if self._scoped:
            _require_scope(found, Scope.READ if request.method in SAFE_METHODS else Scope.WRITE)
        mark_used(found)
        request.user = found.user
        cast(Request, request).token = found
        return found.user


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
        cast(Request, request).token = None
        return request.user


def no_token(request: HttpRequest) -> None:
    """Raises NotAllowedError for a request with a token: what follows needs a session."""
    if Token(scoped=False)(request):
        raise NotAllowedError(
            _("A token can't do this. Sign in with your password (POST /api/login) and send the session cookie.")
        )


def token_of(request: HttpRequest) -> ApiToken | None:
    """The API token in the header Authorization, None without a valid one. Looked up once for a request."""
    if not hasattr(request, "_api_token"):
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        request._api_token = token_of_secret(secret.strip()) if scheme.lower() == "bearer" else None  # type: ignore[attr-defined]
    token: ApiToken | None = request._api_token  # type: ignore[attr-defined]
    return token


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
#: For what a stolen token must not do: change the account or its password, sessions and tokens, or take all its data.
SESSION_ONLY = [no_token, Session()]
#: A session, or any token, whatever its scopes.
SESSION_OR_ANY_TOKEN = [Token(scoped=False), Session()]


def _require_scope(token: ApiToken, scope: Scope) -> None:
    if not token.allows(scope):
        raise NotAllowedError(
            _("This token doesn't have the scope “%(scope)s”. Create one that has it in your settings.")
            % {"scope": scope.value}
        )


def _refuse_banned(claimed: QuerySet[User]) -> None:
    """Raises NotAllowedError if one of these users, of a session or token, is banned."""
    if claimed.filter(is_active=False).exists():
        raise NotAllowedError(_("This account has been deactivated."))
