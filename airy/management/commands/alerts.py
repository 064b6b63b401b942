"""`manage.py alerts`: write the alert rules for Prometheus."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import translation

from airy.alerts import rule_file


class Command(BaseCommand):
    help = "Writes the rule file of Prometheus: `manage.py alerts > deploy/prometheus/alerts.yml`."

    def add_arguments(self, parser: CommandParser) -> None:
        languages = [code for code, _ in settings.LANGUAGES]
        parser.add_argument("--language", choices=languages, default="en", help="of the texts (default: en)")

    def handle(self, *args: Any, language: str, **options: Any) -> None:
        with translation.override(language):
            self.stdout.write(rule_file(), ending="")
