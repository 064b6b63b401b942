"""Airy's settings with the benchmarks' app start_time."""

from airy.settings import *  # noqa: F403
from airy.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.start_time"]
