"""Window: a browser without JavaScript, with a user signed in or nobody."""

from __future__ import annotations

from django.http import HttpResponse
from django.test import Client

from feeds.models import User
from tests.support.factories import UserFactory


class Window(Client):
    """A browser without JavaScript: it opens pages and sends forms."""

    user: User

    def read(self, address: str, status: int = 200) -> str:
        """The page at an address."""
        response = self.get(address)
        assert response.status_code == status, (address, response.status_code)
        return response.content.decode()

    def send(self, address: str, **values: object) -> HttpResponse:
        """Send a form and follow where it leads."""
        return self.post(address, values, follow=True)


def window(user: User | None = None, **headers: str) -> Window:
    """The browser of a user, or of a new one."""
    opened = Window(headers=headers)
    opened.user = user or UserFactory()
    opened.force_login(opened.user)
    return opened


def shown(response: HttpResponse, status: int = 200) -> str:
    """The text of an answer."""
    assert response.status_code == status, response.status_code
    return response.content.decode()
