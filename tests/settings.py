"""Airy's settings and, as a project of its own would add one, an app whose subscribers leave countable effects."""

import os

import tests.environment  # noqa: F401 - what the settings are read from
from airy.settings import *  # noqa: F403
from airy.settings import DATABASES, DRAMATIQ_BROKER, INSTALLED_APPS, VAR_DIR

INSTALLED_APPS = [*INSTALLED_APPS, "tests.effects", "tests.conformance"]
if root := os.environ.get("AIRY_TEST_DIRECTORY"):
    # A worker of the conformance suite on a broker of its own.
    DRAMATIQ_BROKER |= {"BROKER": "tests.conformance.directory_broker.DirectoryBroker", "OPTIONS": {"root": root}}
if os.environ.get("AIRY_TEST_TALLY"):
    # A worker of the conformance suite writes down what it is handed.
    DRAMATIQ_BROKER["MIDDLEWARE"] = [*DRAMATIQ_BROKER["MIDDLEWARE"], "tests.conformance.tally.Tally"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "airy.sqlite":
    # Its own file, so that two runs at once do not pull it from under each other.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / f"{os.environ['AIRY_TEST_RUN']}.sqlite3")}
