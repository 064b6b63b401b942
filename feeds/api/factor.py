"""Factor: the second factor in the API: look, set up, turn on and off. A session alone may do it."""

from django.utils.translation import gettext as _
from ninja import Router, Status

from feeds import actions
from feeds.api.auth import SESSION_ONLY, Request
from feeds.api.schemas.factor import CodeIn, Confirmed, FactorOut, RecoveryCodesOut, SetupOut
from feeds.api.schemas.shape import Problem
from feeds.errors import NotFoundError
from feeds.factor import setup, totp
from feeds.models import SecondFactor

router = Router(tags=["accounts"])


@router.get("", auth=SESSION_ONLY, response=FactorOut)
def factor(request: Request) -> FactorOut:
    """Whether signing in takes a code, and how many recovery codes are left. Needs a session."""
    found = SecondFactor.objects.filter(user=request.auth).first()
    return FactorOut(
        on=found is not None,
        created_at=found.created_at if found else None,
        recovery_codes=found.recovery_codes.count() if found else 0,
    )


@router.post("", auth=SESSION_ONLY, response=SetupOut)
def begin(request: Request, confirmed: Confirmed) -> SetupOut:
    """Begin: a secret for an app, which this session remembers for an hour. PUT turns the factor on."""
    actions.confirm_password(request, request.auth, confirmed.current_password, field="current_password")
    secret = setup.begin(request.session)
    return SetupOut(secret=secret, address=totp.address_of(secret, username=request.auth.username))


@router.put("", auth=SESSION_ONLY, response={200: RecoveryCodesOut, 404: Problem})
def turn_on(request: Request, code: CodeIn) -> RecoveryCodesOut:
    """Turn on, with a code that the app shows. The recovery codes are shown only now."""
    secret = setup.begun(request.session)
    if secret is None:
        raise NotFoundError(_("Begin with POST: it returns the secret for the app."))
    codes = actions.turn_on_factor(request.auth, secret=secret, code=code.code)
    setup.end(request.session)
    return RecoveryCodesOut(recovery_codes=codes)


@router.post("/recovery-codes", auth=SESSION_ONLY, response={200: RecoveryCodesOut, 404: Problem})
def renew_recovery_codes(request: Request, confirmed: Confirmed) -> RecoveryCodesOut:
    """New recovery codes, which are shown only now; the earlier ones end."""
    actions.confirm_password(request, request.auth, confirmed.current_password, field="current_password")
    return RecoveryCodesOut(recovery_codes=actions.renew_recovery_codes(request.auth))


@router.delete("", auth=SESSION_ONLY, response={204: None})
def turn_off(request: Request, confirmed: Confirmed) -> Status[None]:
    """Turn off: signing in takes the password alone."""
    actions.confirm_password(request, request.auth, confirmed.current_password, field="current_password")
    actions.turn_off_factor(request.auth)
    return Status(204, None)
