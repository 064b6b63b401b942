"""Tokens: with which programs act for one."""

from ninja import Router, Status

from feeds import actions
from feeds.api.auth import Request
from feeds.api.schemas.accounts import NewTokenOut, TokenIn, TokenOut

router = Router(tags=["tokens"])


@router.get("", response=list[TokenOut])
def tokens(request: Request) -> list[TokenOut]:
    """One's own tokens, without their secrets."""
    return [TokenOut.of(token) for token in request.auth.tokens.order_by("pk")]


@router.post("", response={201: NewTokenOut})
def create_token(request: Request, token: TokenIn) -> Status[NewTokenOut]:
    """Make a token. Its secret, `token`, is shown this once."""
    created, secret = actions.create_token(request.auth, name=token.name)
    return Status(201, NewTokenOut.of(created, token=secret))


@router.delete("/{token_id}", response={204: None})
def revoke_token(request: Request, token_id: int) -> Status[None]:
    """Make a token worthless."""
    actions.revoke_token(request.auth, token_id=token_id)
    return Status(204, None)
