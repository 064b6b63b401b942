"""Factor: turn the second factor on and off, get recovery codes, and pass it when signing in."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from events.db import committed
from feeds import limits
from feeds.actions.action import action
from feeds.errors import CodeNeededError, InvalidError, NotFoundError, TakenError, TooManyCodesError
from feeds.factor import recovery, totp
from feeds.factor.seal import seal
from feeds.models import RecoveryCode, SecondFactor, User


@action
def turn_on_factor(user: User, *, secret: str, code: str) -> list[str]:
    """Ask for codes of this secret from now on, if the person shows that their app has it.

    Returns the recovery codes, which are stored nowhere. Raises InvalidError for a wrong code, TakenError if it is on.
    """
    step = totp.step_of(recovery.typed(code), secret=secret, now=timezone.now().timestamp())
    if step is None:
        raise InvalidError("code", _("This code is wrong. Compare the clock of your phone, and enter the newest code."))
    try:
        with transaction.atomic():
            factor = SecondFactor.objects.create(user=user, sealed_secret=seal(secret), last_step=step)
    except IntegrityError:
        raise TakenError("code", _("Your second factor is on already.")) from None
    return _new_codes(factor)


@action
def renew_recovery_codes(user: User) -> list[str]:
    """New recovery codes, which are stored nowhere; the earlier ones end. Raises NotFoundError without a factor."""
    factor = SecondFactor.objects.select_for_update(no_key=True).filter(user=user).first()
    if factor is None:
        raise NotFoundError(_("Your second factor is not on."))
    return _new_codes(factor)


@action
def turn_off_factor(user: User) -> None:
    """Ask for no codes any more. Turning it off twice is no error."""
    SecondFactor.objects.filter(user=user).delete()


def has_factor(user: User) -> bool:
    """Whether signing in takes a code."""
    return SecondFactor.objects.filter(user=user).exists()


def pass_factor(user: User, *, code: str, request: HttpRequest | None = None) -> User:
    """Take a code of the app, or a recovery code, from a user who gave the right password. Returns the user.

    Raises CodeNeededError if there is none or it is wrong, TooManyCodesError during the pause after wrong ones (a
    recovery code needs no pause), TooOftenError above a limit. Without a factor there is nothing to pass.
    """
    if not has_factor(user):
        return user
    if not code:
        raise CodeNeededError("code", _("Enter the code of your app, or a recovery code."))
    tried = limits.attempt(request, user.username, what="code")
    if not _take(user, code):
        tried.failed()
        raise CodeNeededError("code", _("This code is wrong or was used already."))
    tried.succeeded()
    return user


def _take(user: User, code: str) -> bool:
    """Whether the code is right; its use, or the failure, is committed. Raises TooManyCodesError during a pause."""
    with committed():
        factor = SecondFactor.objects.select_for_update(no_key=True).filter(user=user).first()
        if factor is None:  # turned off in this moment
            return True
        now = timezone.now()
        if not recovery.is_recovery_code(recovery.typed(code)) and (wait := factor.pause(now=now)):
            raise TooManyCodesError(wait)
        return factor.take(code, now=now)


def _new_codes(factor: SecondFactor) -> list[str]:
    factor.recovery_codes.all().delete()
    codes = recovery.new_codes()
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, digest=recovery.digest_of(code)) for code in codes)
    return codes
