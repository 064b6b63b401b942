"""The settings of the processes under test: Airy's, the effects, the subscribers of the load, and traps in the
worker."""

from tests.settings import *  # noqa: F403
from tests.settings import DRAMATIQ_BROKER, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos.load"]
DRAMATIQ_BROKER = DRAMATIQ_BROKER | {
    "MIDDLEWARE": [*DRAMATIQ_BROKER["MIDDLEWARE"], "tests.chaos.load.middleware.CrashPointsAndCounts"]
}
