from typing import Any

from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = _("Events")

    def ready(self) -> None:
        """Add our middleware to the broker, then import every app's subscribers and declare an actor for each."""
        import dramatiq

        from .checks import (
            check_broker,
            check_command,
            check_database,
            check_keep_times,
            check_one_database,
            check_signing_keys,
            check_threads,
            check_time_limits,
        )
        from .inbox.retry import RetryOrDeadLetter
        from .inbox.time_limit import DeliveryTimeLimit
        from .loading import load_without_events
        from .repair import clearing, partitions  # noqa: F401
        from .subscription import listeners, subscriptions
        from .tracing import bind
        from .worker.actors import declare_actor
        from .worker.controls import ControlsWatch
        from .worker.services import HostServices
        from .worker.shutdown import OrderlyShutdown

        broker = dramatiq.get_broker()
        for middleware in (
            DeliveryTimeLimit(),
            RetryOrDeadLetter(),
            OrderlyShutdown(),
            ControlsWatch(),
            HostServices(),
        ):
            broker.add_middleware(middleware)
        listeners.append(lambda subscription: declare_actor(dramatiq.get_broker(), subscription))
        for subscription in list(subscriptions.values()):
            declare_actor(broker, subscription)
        autodiscover_modules("subscribers")
        register(check_broker)
        register(check_command)
        register(check_database)
        register(check_keep_times)
        register(check_one_database)
        register(check_signing_keys)
        register(check_threads)
        register(check_time_limits)
        load_without_events()
        bind()
        post_migrate.connect(_announce, sender=self)


def _announce(*, plan: Any = (), apps: Any = None, **kwargs: Any) -> None:
    from .repair.announce import announce
    from .worker.installation import installation_id

    # After a migration backwards the tables are older than this code.
    if not any(backwards for _, backwards in plan):
        announce()
        if apps is None or "installation" in apps.all_models["events"]:
            installation_id()
