"""Airy's settings and, as a project of its own would add one, an app whose subscribers leave countable effects."""

from airy.settings import *  # noqa: F403
from airy.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.effects"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
