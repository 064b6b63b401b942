"""Letters: what Django's outbox of a test holds."""

from __future__ import annotations

import re

from django.core import mail

from events.testing import deliver


def letters() -> list[mail.EmailMessage]:
    """Run the subscribers, and take what they sent out of the outbox."""
    deliver()
    taken = list(mail.outbox)
    mail.outbox.clear()
    return taken


def link_in(letter: mail.EmailMessage, site: str = "http://testserver") -> str:
    """The path of the first link to the site."""
    found = re.search(rf"^{re.escape(site)}(/\S+)$", letter.body, re.MULTILINE)
    assert found, letter.body
    return found[1]
