"""Names: what the tables and functions of an app are called in SQL, whatever label the app is installed under."""

from __future__ import annotations

from django.apps import apps
from django.db import models


def table(model: type[models.Model]) -> str:
    """The quoted name of a model's table."""
    return f'"{model._meta.db_table}"'


def function(model: type[models.Model], name: str) -> str:
    """The quoted name of a database function that belongs to a model's app."""
    return f'"{model._meta.app_label}_{name}"'


def app_label(module: str) -> str:
    """The label of the app that contains a module (`__name__`). Migrations need it. Raises LookupError without one."""
    config = apps.get_containing_app_config(module)
    if config is None:
        raise LookupError(f"{module} belongs to no app in INSTALLED_APPS")
    return config.label
