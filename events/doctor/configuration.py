"""Configuration: what `manage.py check --deploy` says, too."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import ERROR, WARNING, run_checks

from ..finding import Finding, Severity
from .examination import examination


@examination("Settings")
def configuration() -> Iterator[Finding]:
    """Django's checks, ours among them, and those for a server that others can reach."""
    if settings.DEBUG:
        yield Finding(
            problem="DEBUG is on: whoever meets an error sees the settings and the code.",
            cure="Leave DEBUG out of the environment; it is for development.",
        )
    for message in run_checks(include_deployment_checks=not settings.DEBUG):
        if message.level >= WARNING and not message.is_silenced():
            yield Finding(
                problem=f"{message.msg} ({message.id})",
                cure=str(message.hint or "The documentation of Django's system checks says what to do."),
                severity=Severity.PROBLEM if message.level >= ERROR else Severity.WARNING,
            )
