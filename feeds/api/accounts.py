"""Accounts: register, sign in, sign out."""

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Status
from ninja.errors import AuthenticationError

from feeds import actions, limits
from feeds.api.auth import Request, visitor_of_this_site
from feeds.api.schemas.accounts import AccountOut, Credentials, Registration
from feeds.api.throttle import PerAddress
from feeds.errors import NotAllowedError
from feeds.models import User

router = Router(tags=["accounts"])


@router.post("/register", auth=[visitor_of_this_site], throttle=PerAddress(limits.REGISTER), response={201: AccountOut})
def register(request: HttpRequest, registration: Registration) -> Status[AccountOut]:
    """Open an account and sign in."""
    user = actions.register(**registration.model_dump())
    login(request, user)
    return Status(201, AccountOut.of(user))


@router.post("/login", auth=[visitor_of_this_site], throttle=PerAddress(limits.LOGIN), response=AccountOut)
def sign_in(request: HttpRequest, credentials: Credentials) -> AccountOut:
    """Start a session."""
    user = authenticate(request, **credentials.model_dump())
    if not isinstance(user, User):
        _refuse_banned(credentials)
        raise AuthenticationError(message=_("Wrong username or password."))
    login(request, user)
    return AccountOut.of(user)


@router.post("/logout", response={204: None})
def sign_out(request: Request) -> Status[None]:
    """End the session."""
    logout(request)
    return Status(204, None)


def _refuse_banned(credentials: Credentials) -> None:
    """Raises NotAllowedError for a closed account if the password is right. Others do not learn that it is closed."""
    banned = User.objects.named(credentials.username).filter(is_active=False).first()
    if banned is not None and banned.check_password(credentials.password):
        raise NotAllowedError(_("This account has been deactivated."))
