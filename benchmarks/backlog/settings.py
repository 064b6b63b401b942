"""Airy's settings with the app backlog, and the settings of the installed peers."""

from importlib.util import find_spec

from airy.settings import *  # noqa: F403
from airy.settings import INSTALLED_APPS

PEERS = [name for name in ("reliable_outbox", "django_domain_events") if find_spec(name)]
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.backlog", *PEERS]
RELIABLE_OUTBOX = {"BATCH_SIZE": 100}
DJANGO_DOMAIN_EVENTS = {"BATCH_SIZE": 500}
