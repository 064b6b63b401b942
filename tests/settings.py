"""Airy's settings and, as a project of its own would add one, an app whose subscribers leave countable effects."""

import os

import tests.environment  # noqa: F401 - what the settings are read from
from airy.settings import *  # noqa: F403
from airy.settings import DATABASES, DRAMATIQ_BROKER, INSTALLED_APPS, MIDDLEWARE, VAR_DIR

MIDDLEWARE = ["tests.support.documented.documented", *MIDDLEWARE]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.effects", "tests.conformance"]
if root := os.environ.get("AIRY_TEST_DIRECTORY"):
    # A worker of the conformance suite on the broker that the suite brings along.
    DRAMATIQ_BROKER |= {"BROKER": "tests.conformance.directory_broker.DirectoryBroker", "OPTIONS": {"root": root}}
if os.environ.get("AIRY_TEST_DELIVERY_LOG"):
    # A worker of the conformance suite logs each message that it receives.
    DRAMATIQ_BROKER["MIDDLEWARE"] = [*DRAMATIQ_BROKER["MIDDLEWARE"], "tests.conformance.delivery_log.DeliveryLog"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "airy.sqlite":
    # Its own file, so that two runs at once do not pull it from under each other.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / f"{os.environ['AIRY_TEST_RUN']}.sqlite3")}
