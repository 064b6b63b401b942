"""The app: declares the kinds, connects the signal receivers and registers the checks when Django starts."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    """Notifications."""

    name = "notifications"
    verbose_name = _("Notifications")

    def ready(self) -> None:
        """Import the modules that work by being imported."""
        from notifications import hiding, kinds, restoring  # noqa: F401
        from notifications.checks import check_kinds, check_layer
        from notifications.push import receivers  # noqa: F401

        register(check_layer)
        register(check_kinds)
