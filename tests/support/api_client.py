"""Program: a client of the JSON API, as a person's script would be."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.utils.crypto import get_random_string

from feeds import actions
from feeds.models import User
from tests.support.factories import UserFactory

PASSWORD = "correct horse 1"


class Program:
    """Asks the API with JSON bodies. It carries a token, or cookies once it has signed in; CSRF is enforced."""

    def __init__(
        self,
        user: User | None = None,
        *,
        client: Any = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.user = user
        self.client = client or Client(enforce_csrf_checks=True, **options)
        self._headers = dict(headers or {})
        if user is not None:
            token = actions.create_token(user, name="test")[1]
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.client.get(f"/api{path}", query, headers=self._headers)

    def items(self, path: str, **query: Any) -> list[Any]:
        """The items of the first page."""
        response = self.get(path, **query)
        assert response.status_code == 200, response.content
        return response.json()["items"]

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body)
        return self.client.generic(
            method, f"/api{path}", data, content_type="application/json", headers=self._headers | headers
        )

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("DELETE", path, body, **headers)


def browser(user: User) -> Program:
    """The user's browser as a client of the API: a session, with the CSRF token in every request."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    secret = get_random_string(32)
    client.cookies["csrftoken"] = secret
    opened = Program(client=client, headers={"X-CSRFToken": secret})
    opened.user = user
    return opened


def signed_up(username: str, **fields: Any) -> User:
    """A user with PASSWORD."""
    user = UserFactory(username=username, **fields)
    user.set_password(PASSWORD)
    user.save()
    return user


def says(response: HttpResponse, status: int, *words: str) -> None:
    """The answer refuses with this status, and its detail has these words."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"].startswith("application/json")
    detail = response.json()["detail"]
    assert isinstance(detail, str)
    for word in words:
        assert word in detail, detail
