"""Checks: settings with which notices would not come live."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

IN_PROCESS = "channels.layers.InMemoryChannelLayer"


def check_layer(**kwargs: Any) -> list[CheckMessage]:
    """A channel layer within one process does not reach the web from a worker beside it."""
    layer = settings.CHANNEL_LAYERS["default"]["BACKEND"]
    if layer != IN_PROCESS or getattr(settings, "AIRY_BROKER", "embedded") == "embedded":
        return []
    return [
        Warning(
            "Workers cannot push to browsers: the channel layer works in one process only. Browsers will poll.",
            hint="Set REDIS_URL=redis://host:6379 for live push across processes.",
            id="notifications.W001",
        )
    ]
