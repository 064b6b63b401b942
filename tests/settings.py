"""Airy's settings and, as a project of its own would add one, an app whose subscribers leave countable effects."""

import os

import tests.environment  # noqa: F401 - what the settings are read from
from airy.settings import *  # noqa: F403
from airy.settings import DATABASES, INSTALLED_APPS, VAR_DIR

INSTALLED_APPS = [*INSTALLED_APPS, "tests.effects"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "airy.sqlite":
    # Its own file, so that two runs at once do not pull it from under each other.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / f"{os.environ['AIRY_TEST_RUN']}.sqlite3")}
