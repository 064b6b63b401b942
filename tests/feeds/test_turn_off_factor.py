"""An operator turns off the factor of a person who has lost it: by the command, or in the admin."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from feeds import actions
from feeds.models import SecondFactor
from tests.support.factories import UserFactory
from tests.support.factors import with_factor
from tests.support.letters import letters
from tests.support.logs import captured_logs
from tests.support.ways_to_write import delete_in_admin, staff_client

pytestmark = pytest.mark.django_db


def test_the_command_turns_it_off_logs_it_and_the_person_is_told(capsys) -> None:
    user, _app, _codes = with_factor(email="alice@example.org")
    assert "is on" in letters()[0].subject
    with captured_logs("feeds.management") as lines:
        call_command("turn_off_factor", "ALICE")
    assert not actions.has_factor(user)
    assert [line["user"] for line in lines] == [user.pk]
    assert "alice is off" in capsys.readouterr().out
    (letter,) = letters()
    assert (letter.to, letter.subject) == (["alice@example.org"], "Your second factor on Airy is off")


@pytest.mark.parametrize("username", ["nobody", "bob"])
def test_the_command_says_what_it_cannot_do(username: str) -> None:
    UserFactory(username="bob")
    with pytest.raises(CommandError, match=username):
        call_command("turn_off_factor", username)


def test_a_superuser_turns_it_off_in_the_admin_which_keeps_a_record() -> None:
    user, _app, _codes = with_factor()
    delete_in_admin(staff_client(), user.factors.get())
    assert not actions.has_factor(user)
    assert LogEntry.objects.get().object_repr == "alice"


def test_the_admin_shows_no_secret_and_lets_nobody_else_turn_it_off() -> None:
    user, app, _codes = with_factor()
    factor = user.factors.get()
    address = reverse("admin:feeds_secondfactor_change", args=[factor.pk])
    page = staff_client().get(address).content.decode()
    assert app.secret not in page
    assert factor.sealed_secret not in page
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    assert client.post(reverse("admin:feeds_secondfactor_delete", args=[factor.pk]), {"post": "yes"}).status_code == 403
    assert SecondFactor.objects.exists()
