"""Letter: one mail of plain text, written in one language and handed to the mail server."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from typing import Any

from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise

logger = logging.getLogger(__name__)

#: RFC 3834: programs that answer mails leave these alone.
HEADERS = {"Auto-Submitted": "auto-generated"}


class MailNotSentError(Exception):
    """The mail server did not take a letter. Its text has no address, since attempts and dead letters keep it."""


def send_letter(to: str, *, subject: str | Promise, template: str, language: str, context: dict[str, Any]) -> None:
    """Send a letter to one address. template: the name of the file in `mail/` with the text.

    Raises MailNotSentError if it must be tried again. A recipient that the server refuses for good is logged, and that
    is all: an address with a slip of the pen is no failure of ours.
    """
    with translation.override(language):
        text = render_to_string(f"mail/{template}.txt", context)
        message = EmailMessage(str(subject), text, to=[to], headers=HEADERS)
    _hand_over(message.send)


def _hand_over(send: Callable[[], object]) -> None:
    try:
        send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _said in error.recipients.values()]
        if all(500 <= code < 600 for code in codes):
            logger.warning("recipient refused for good", extra={"codes": codes})
            return
        raise MailNotSentError(f"the mail server does not take the recipient now: {codes}") from None
    except smtplib.SMTPResponseException as error:
        raise MailNotSentError(f"the mail server answered {error.smtp_code}: see EMAIL_URL") from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailNotSentError(f"the mail server cannot be used ({type(error).__name__}): see EMAIL_URL") from None
