"""The app feeds: connects its signals, declares its chores and registers its check when Django starts."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class FeedsConfig(AppConfig):
    name = "feeds"
    verbose_name = _("Feeds")

    def ready(self) -> None:
        from feeds import chores, signals  # noqa: F401
        from feeds.mail.checks import check_mail
        from feeds.sessions import seen  # noqa: F401

        register(check_mail, deploy=True)
