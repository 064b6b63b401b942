"""The ways to change a row beside the actions: a model's save and the admin."""

from django.db import models
from django.test import Client
from django.urls import reverse

from tests.support.factories import UserFactory


def save(row: models.Model, **values: object) -> None:
    """Set fields of a row and save it."""
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def staff_client() -> Client:
    """A browser with a superuser signed in."""
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def add_in_admin(client: Client, model: type[models.Model], **values: object) -> None:
    """Fill in and submit the admin's form for a new row."""
    _submit(client, reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_add"), values)


def change_in_admin(client: Client, row: models.Model, **values: object) -> None:
    """Change fields in the admin's form of a row and submit it with all others as they were."""
    _submit(client, _address(row, "change"), values)


def delete_in_admin(client: Client, row: models.Model) -> None:
    """Delete a row on its page in the admin."""
    response = client.post(_address(row, "delete"), {"post": "yes"})
    assert response.status_code == 302, response.content.decode()


def delete_selected_in_admin(client: Client, *rows: models.Model) -> None:
    """Tick rows in the admin's list and delete them."""
    address = reverse(f"admin:{rows[0]._meta.label_lower.replace('.', '_')}_changelist")
    data = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    response = client.post(address, data)
    assert response.status_code == 302, response.content.decode()


def _address(row: models.Model, page: str) -> str:
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_{page}", args=[row.pk])


def _submit(client: Client, address: str, values: dict[str, object]) -> None:
    form = client.get(address).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    response = client.post(
        address, {name: value for name, value in (shown | values).items() if value not in (None, False)}
    )
    assert response.status_code == 302, response.context["adminform"].form.errors
