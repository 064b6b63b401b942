"""Me: the user's own account in the API, with the number of unread notices."""

from django.contrib.auth import logout, update_session_auth_hash
from django.utils.translation import gettext as _
from ninja import Router, Status

from feeds import actions
from feeds.api.auth import Request
from feeds.api.schemas.accounts import AccountOut, AccountPatch, Farewell
from feeds.errors import InvalidError
from feeds.models import User
from notifications.models import Stream

router = Router(tags=["accounts"])


class MeOut(AccountOut):
    """The user's own account, and the number of unread notices."""

    unread: int


@router.get("/me", response=MeOut)
def me(request: Request) -> MeOut:
    """One's own account."""
    return _me(request.auth)


@router.patch("/me", response=MeOut)
def change_me(request: Request, changes: AccountPatch) -> MeOut:
    """Change name, e-mail address or password; a new password needs the current one and ends all other sessions."""
    wanted = changes.model_dump(exclude_unset=True)
    current = wanted.pop("current_password", "")
    if "password" in wanted:
        _require_password(request.auth, current, field="current_password")
        request.auth.renewed_session = request.session.session_key
    user = actions.change_account(request.auth, **wanted)
    if "password" in wanted and request.user == user:
        update_session_auth_hash(request, user)
    return _me(user)


@router.delete("/me", response={204: None})
def delete_me(request: Request, farewell: Farewell) -> Status[None]:
    """Leave for good: the name is forgotten, what was written stays."""
    _require_password(request.auth, farewell.password, field="password")
    actions.delete_account(request.auth)
    logout(request)
    return Status(204, None)


def _me(user: User) -> MeOut:
    unread = Stream.objects.filter(user=user).values_list("unread", flat=True).first()
    return MeOut.of(user, unread=unread or 0)


def _require_password(user: User, password: str, *, field: str) -> None:
    if not user.check_password(password):
        raise InvalidError(field, _("Wrong password."))
