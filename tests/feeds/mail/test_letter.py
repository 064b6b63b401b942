"""Letters in a conversation with a real mail server: what it takes, and what becomes of what it refuses."""

from collections.abc import Iterator

import pytest

from events.inbox.models import Attempt, DeadLetter
from events.repair.dead_letters import requeue
from events.subscription import subscriptions
from events.testing import deliver
from feeds import actions
from feeds.models import User
from tests.support.factories import UserFactory
from tests.support.logs import captured_logs
from tests.support.mail_server import MailServer, mail_server

pytestmark = [pytest.mark.django_db, pytest.mark.home]


@pytest.fixture
def server(settings) -> Iterator[MailServer]:
    with mail_server() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.DEFAULT_FROM_EMAIL = "Airy <noreply@airy.example>"
        yield running


def ask() -> User:
    """Somebody wants a letter."""
    user = UserFactory(email="alice@example.org")
    actions.request_confirmation(user, site="https://airy.example")
    return user


def test_a_letter_goes_out_as_plain_text_that_no_program_answers(server: MailServer) -> None:
    user = ask()
    deliver()
    (letter,) = server.letters
    assert (letter["From"], letter["To"]) == ("Airy <noreply@airy.example>", "alice@example.org")
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content_type() == "text/plain"
    assert f"https://airy.example/email/{user.pk}/" in letter.get_content()


def test_what_the_server_does_not_take_now_is_sent_later_and_names_no_address(server: MailServer) -> None:
    server.refusals = ["451 try later", "452 too many"]
    ask()
    deliver()
    assert len(server.letters) == 1
    assert Attempt.objects.count() == 2
    for attempt in Attempt.objects.all():
        assert "451" in attempt.traceback or "452" in attempt.traceback
        assert "alice@example.org" not in attempt.traceback


def test_a_recipient_who_is_refused_for_good_is_no_failure(server: MailServer) -> None:
    server.refusals = ["550 no such user"]
    ask()
    with captured_logs("feeds.mail") as lines:
        deliver()
    assert server.letters == []
    assert not Attempt.objects.exists()
    assert ["550" in str(line) for line in lines] == [True]
    assert "alice" not in str(lines)


def test_a_letter_that_no_server_took_is_kept_for_an_operator_to_send(server: MailServer, settings) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    ask()
    deliver()
    dead = DeadLetter.objects.get(state="dead")
    assert "EMAIL_URL" in dead.reason
    settings.EMAIL_PORT = port
    requeue(DeadLetter.objects.filter(pk=dead.pk))
    deliver()
    assert len(server.letters) == 1


def test_a_mail_server_that_is_down_for_a_day_loses_no_letter() -> None:
    """The pauses between the attempts, without their jitter."""
    subscription = subscriptions["feeds.send_confirmation"]
    pauses = [min(5_000 * 2**number, subscription.max_backoff) for number in range(subscription.max_retries)]
    assert subscription.min_backoff == 5_000
    assert sum(pauses) >= 23 * 3_600_000
