"""The settings of the processes under test: those of the tests, and the app of this folder."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.feeds.erasing.load"]
