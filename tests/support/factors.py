"""Factors: a user with a second factor, and the codes of their app."""

from __future__ import annotations

import time

import pyotp

from feeds import actions
from feeds.factor.totp import STEP, new_secret
from feeds.models import SecondFactor, User
from tests.support.api_client import signed_up


class App:
    """The app of one person: every code is of a step of its own, so none was taken before."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def code(self, *, steps: int = 0) -> str:
        """The code of this moment, or of some steps from now."""
        return pyotp.TOTP(self.secret).at(time.time() + steps * STEP)

    def wrong_code(self) -> str:
        """Six digits that are no code of these minutes."""
        near = {self.code(steps=steps) for steps in range(-5, 6)}
        return next(code for code in map("{:06}".format, range(100)) if code not in near)


def with_factor(username: str = "alice", **fields: object) -> tuple[User, App, list[str]]:
    """A user with PASSWORD whose factor is on, their app and their recovery codes. No code of the app was taken yet."""
    user, app = signed_up(username, **fields), App(new_secret())
    codes = actions.turn_on_factor(user, secret=app.secret, code=app.code())
    SecondFactor.objects.filter(user=user).update(last_step=0)
    return user, app, codes
