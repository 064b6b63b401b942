"""The actions of the second factor: which codes count, how often, and what is stored."""

import datetime as dt

import pytest
from django.utils import timezone

from feeds import actions
from feeds.errors import CodeNeededError, InvalidError, NotAllowedError, NotFoundError, TakenError, TooManyCodesError
from feeds.factor import recovery
from feeds.factor.totp import new_secret
from feeds.models import RecoveryCode, SecondFactor, User
from feeds.models.second_factors import FREE_FAILURES
from tests.support.at_once import at_once
from tests.support.factories import UserFactory
from tests.support.factors import App, with_factor
from tests.support.logs import captured_logs
from tests.support.refusals import refused

pytestmark = pytest.mark.django_db


def wrong(user: User, code: str) -> None:
    """The code is refused as wrong."""
    refused(CodeNeededError, "code", act=lambda: actions.pass_factor(user, code=code))


def test_only_who_has_a_code_of_the_app_turns_it_on() -> None:
    user, app = UserFactory(), App(new_secret())
    refused(InvalidError, "code", act=lambda: actions.turn_on_factor(user, secret=app.secret, code=app.wrong_code()))
    assert not actions.has_factor(user)
    codes = actions.turn_on_factor(user, secret=app.secret, code=f" {app.code()[:3]} {app.code()[3:]} ")
    assert actions.has_factor(user)
    assert len(set(codes)) == 10
    refused(TakenError, "code", act=lambda: actions.turn_on_factor(user, secret=app.secret, code=app.code()))


def test_the_database_holds_no_secret_and_no_code() -> None:
    _user, app, codes = with_factor()
    stored = str([*SecondFactor.objects.values(), *RecoveryCode.objects.values()])
    assert app.secret not in stored
    for code in codes:
        assert code not in stored
        assert recovery.typed(code) not in stored


def test_a_code_is_taken_once_and_no_earlier_one_after_it() -> None:
    user, app, _codes = with_factor()
    early, late = app.code(), app.code(steps=1)
    assert actions.pass_factor(user, code=late) == user
    wrong(user, late)
    wrong(user, early)


def test_the_code_that_turned_it_on_is_taken() -> None:
    user, app = UserFactory(), App(new_secret())
    code = app.code()
    actions.turn_on_factor(user, secret=app.secret, code=code)
    wrong(user, code)


@pytest.mark.django_db(transaction=True)
def test_a_code_sent_four_times_at_once_is_taken_once() -> None:
    user, app, codes = with_factor()

    def passed(code: str) -> bool:
        try:
            actions.pass_factor(user, code=code)
        except CodeNeededError:
            return False
        return True

    for code in (app.code(), codes[0]):
        assert sorted(at_once(*[lambda: passed(code)] * 4)) == [False, False, False, True]  # noqa: B023


def test_a_recovery_code_is_taken_once_and_of_its_owner_alone() -> None:
    user, _app, codes = with_factor()
    other, _app, others = with_factor("bob")
    wrong(user, others[0])
    assert actions.pass_factor(user, code=codes[3].lower()) == user
    wrong(user, codes[3])
    assert SecondFactor.objects.get(user=user).recovery_codes.count() == 9
    assert SecondFactor.objects.get(user=other).recovery_codes.count() == 10


def test_new_recovery_codes_end_the_earlier_ones() -> None:
    user, _app, codes = with_factor()
    new = actions.renew_recovery_codes(user)
    assert not set(new) & set(codes)
    wrong(user, codes[0])
    actions.pass_factor(user, code=new[0])


def test_without_a_factor_there_is_nothing_to_pass() -> None:
    user = UserFactory()
    for code in ("", "000000"):
        assert actions.pass_factor(user, code=code) == user
    refused(NotFoundError, act=lambda: actions.renew_recovery_codes(user))
    actions.turn_off_factor(user)


def test_wrong_codes_bring_a_pause_which_grows_and_which_a_recovery_code_passes() -> None:
    user, app, codes = with_factor()
    for _ in range(FREE_FAILURES):
        wrong(user, app.wrong_code())
    for code in (app.code(), app.wrong_code()):
        with pytest.raises(TooManyCodesError) as refusal:
            actions.pass_factor(user, code=code)
        assert 50 <= refusal.value.wait <= 61
    for _ in range(3):
        wrong(user, "AAAA-AAAA-AAAA-AAAA")
    factor = SecondFactor.objects.get(user=user)
    assert factor.failures == FREE_FAILURES
    actions.pass_factor(user, code=codes[0])
    SecondFactor.objects.filter(user=user).update(failed_at=timezone.now() - dt.timedelta(minutes=2))
    wrong(user, app.wrong_code())
    with pytest.raises(TooManyCodesError) as refusal:
        actions.pass_factor(user, code=app.code())
    assert 110 <= refusal.value.wait <= 121
    SecondFactor.objects.filter(user=user).update(failed_at=timezone.now() - dt.timedelta(minutes=3))
    actions.pass_factor(user, code=app.code())
    assert SecondFactor.objects.get(user=user).failures == 0


def test_a_pause_is_never_longer_than_an_hour_so_that_guessing_takes_decades() -> None:
    now = timezone.now()
    for failures in (20, 1_000, 2**31 - 1):
        factor = SecondFactor(failures=failures, failed_at=now)
        assert 3_500 <= factor.pause(now=now) <= 3_601
        assert factor.pause(now=now + dt.timedelta(seconds=3_601)) == 0


def test_a_wrong_code_is_logged_without_the_code() -> None:
    user, app, _codes = with_factor()
    code = app.wrong_code()
    with captured_logs("feeds.tries") as lines:
        wrong(user, code)
    assert "code failed" in str(lines)
    assert user.username in str(lines)
    assert code not in str(lines)


def test_a_new_secret_key_keeps_factors_while_the_earlier_one_is_a_fallback(settings) -> None:
    user, app, codes = with_factor()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key", [settings.SECRET_KEY]
    actions.pass_factor(user, code=app.code(steps=-1))
    settings.SECRET_KEY_FALLBACKS = []
    actions.pass_factor(user, code=app.code())
    settings.SECRET_KEY = "a third key"
    with captured_logs("feeds.models") as lines:
        wrong(user, app.code(steps=1))
    assert [line["log_level"] for line in lines] == ["error"]
    actions.pass_factor(user, code=codes[0])


def test_a_banned_user_manages_nothing() -> None:
    user, app, _codes = with_factor()
    User.objects.filter(pk=user.pk).update(is_active=False)
    for act in (
        lambda: actions.turn_on_factor(user, secret=app.secret, code=app.code()),
        lambda: actions.renew_recovery_codes(user),
        lambda: actions.turn_off_factor(user),
    ):
        refused(NotAllowedError, act=act)


def test_an_account_that_is_deleted_leaves_no_factor() -> None:
    user, _app, _codes = with_factor()
    user.delete()
    assert not SecondFactor.objects.exists()
    assert not RecoveryCode.objects.exists()
