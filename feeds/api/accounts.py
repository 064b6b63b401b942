"""Accounts: register, sign in, sign out."""

from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Status
from ninja.errors import AuthenticationError

from feeds import actions, limits
from feeds.api.auth import SESSION_ONLY, Request, visitor_of_this_site
from feeds.api.schemas.accounts import AccountOut, Credentials, Registration
from feeds.api.schemas.shape import Problem
from feeds.errors import NotAllowedError
from feeds.models import User
from feeds.origins import site_of

router = Router(tags=["accounts"])


@router.post("/register", auth=[visitor_of_this_site], response={201: AccountOut})
def register(request: HttpRequest, registration: Registration) -> Status[AccountOut]:
    """Open an account and sign in."""
    limits.spend(limits.REGISTRATIONS, limits.network_of(request))
    user = actions.register(**registration.model_dump(), site=site_of(request))
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return Status(201, AccountOut.of(user))


@router.post("/login", auth=[visitor_of_this_site], response={200: AccountOut, 401: Problem})
def sign_in(request: HttpRequest, credentials: Credentials) -> AccountOut:
    """Start a session.

    If the account has a second factor, the answer to the right password is 401 with `fields.code`, until `code` is a
    code of the app or a recovery code. After many wrong codes it is 429; a recovery code works even then.
    """
    user = authenticate(request, username=credentials.username, password=credentials.password)
    if not isinstance(user, User):
        _refuse_banned(credentials)
        raise AuthenticationError(message=_("Wrong username or password."))
    actions.pass_factor(user, code=credentials.code, request=request)
    login(request, user)
    return AccountOut.of(user)


@router.post("/logout", auth=SESSION_ONLY, response={204: None})
def sign_out(request: Request) -> Status[None]:
    """End the session."""
    logout(request)
    return Status(204, None)


def _refuse_banned(credentials: Credentials) -> None:
    """Raises NotAllowedError for a closed account if the password is right. Others do not learn that it is closed."""
    banned = User.objects.named(credentials.username).filter(is_active=False).first()
    if banned is not None and banned.check_password(credentials.password):
        raise NotAllowedError(_("This account has been deactivated."))
