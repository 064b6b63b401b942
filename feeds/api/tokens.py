"""Tokens: list, create and revoke API tokens."""

from ninja import Router, Status

from feeds import actions
from feeds.api.auth import Request
from feeds.api.schemas.accounts import NewTokenOut, TokenIn, TokenOut

router = Router(tags=["tokens"])


@router.get("", response=list[TokenOut])
def tokens(request: Request) -> list[TokenOut]:
    """Your tokens, without their secrets."""
    return [TokenOut.of(token) for token in request.auth.tokens.order_by("pk")]


@router.post("", response={201: NewTokenOut})
def create_token(request: Request, token: TokenIn) -> Status[NewTokenOut]:
    """Create a token. Its secret, `token`, is shown only now."""
    created, secret = actions.create_token(request.auth, name=token.name)
    return Status(201, NewTokenOut.of(created, token=secret))


@router.delete("/{token_id}", response={204: None})
def revoke_token(request: Request, token_id: int) -> Status[None]:
    """Revoke a token."""
    actions.revoke_token(request.auth, token_id=token_id)
    return Status(204, None)
