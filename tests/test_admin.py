"""The admin: it lists every model of ours, and no task list of another package."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import models
from django.test import Client

from feeds.models import User

pytestmark = pytest.mark.home

#: Our models. Feed entries have a composite key: they are shown on the page of their user.
OURS = [
    model
    for app in ("events", "feeds", "notifications")
    for model in apps.get_app_config(app).get_models()
    if not model._meta.is_composite_pk
]


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_has_a_list_that_opens_and_searches(client: Client, model: type[models.Model]) -> None:
    assert admin.site.is_registered(model)
    client.force_login(User.objects.create_superuser("operator", password="x"))
    address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    assert client.get(address).status_code == 200
    assert client.get(address, {"q": "words"}).status_code == 200


def test_the_task_list_of_django_dramatiq_stays_out() -> None:
    assert not admin.site.is_registered(apps.get_model("django_dramatiq.Task"))
