"""Tokens: list, create and revoke API tokens."""

from django.utils.translation import gettext as _
from ninja import Router, Status

from feeds import actions
from feeds.api.auth import SESSION_ONLY, SESSION_OR_ANY_TOKEN, Request
from feeds.api.schemas.accounts import NewTokenOut, TokenIn, TokenOut
from feeds.api.schemas.shape import RowId
from feeds.errors import NotAllowedError
from feeds.models import ApiToken

router = Router(tags=["tokens"])


@router.get("", auth=SESSION_ONLY, response=list[TokenOut])
def tokens(request: Request) -> list[TokenOut]:
    """Your tokens, without their secrets. Needs a session."""
    return [TokenOut.of(token) for token in ApiToken.objects.of_user(request.auth).order_by("pk")]


@router.post("", auth=SESSION_ONLY, response={201: NewTokenOut})
def create_token(request: Request, token: TokenIn) -> Status[NewTokenOut]:
    """Create a token. Its secret, `token`, is shown only now. Needs a session.

    A token ends when it expires, when it is revoked, and when your password changes.
    """
    created, secret = actions.create_token(request.auth, **token.model_dump())
    return Status(201, NewTokenOut.of(created, token=secret))


@router.delete("/{token_id}", auth=SESSION_OR_ANY_TOKEN, response={204: None})
def revoke_token(request: Request, token_id: RowId) -> Status[None]:
    """Revoke a token. A token can revoke itself only."""
    if request.token is not None and request.token.pk != token_id:
        raise NotAllowedError(_("A token can revoke only itself. Revoke others in your settings."))
    actions.revoke_token(request.auth, token_id=token_id)
    return Status(204, None)
