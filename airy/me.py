"""Me: the user's own account in the API, with the number of unread notices."""

from django.contrib.auth import logout, update_session_auth_hash
from ninja import Router, Status

from feeds import actions
from feeds.api.auth import SESSION_ONLY, Request
from feeds.api.schemas.accounts import AccountOut, AccountPatch, Farewell
from feeds.models import User
from feeds.origins import site_of
from notifications.models import Stream

router = Router(tags=["accounts"])


class MeOut(AccountOut):
    """The user's own account, and the number of unread notices."""

    unread: int


@router.get("/me", response=MeOut)
def me(request: Request) -> MeOut:
    """One's own account."""
    return _me(request.auth)


@router.patch("/me", auth=SESSION_ONLY, response=MeOut)
def change_me(request: Request, changes: AccountPatch) -> MeOut:
    """Change name, e-mail address or password; needs a session and the current password.

    A new password ends all other sessions and all tokens.
    """
    wanted = changes.model_dump(exclude_unset=True)
    current = wanted.pop("current_password", "")
    if not wanted:
        return _me(request.auth)
    actions.confirm_password(request, request.auth, current, field="current_password")
    user = actions.change_account(request.auth, **wanted, site=site_of(request))
    if "password" in wanted:
        update_session_auth_hash(request, user)
    return _me(user)


@router.delete("/me", auth=SESSION_ONLY, response={204: None})
def delete_me(request: Request, farewell: Farewell) -> Status[None]:
    """Leave for good: the name is forgotten; what was written stays without it, or is erased. Needs a session and the
    current password."""
    field = "password" if farewell.password and not farewell.current_password else "current_password"
    actions.confirm_password(request, request.auth, getattr(farewell, field), field=field)
    actions.delete_account(request.auth, erase_texts=farewell.texts == "erase")
    logout(request)
    return Status(204, None)


def _me(user: User) -> MeOut:
    unread = Stream.objects.filter(user=user).values_list("unread", flat=True).first()
    return MeOut.of(user, unread=unread or 0)
