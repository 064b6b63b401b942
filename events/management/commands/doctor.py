"""`manage.py doctor`: what is wrong with this installation, and what to do."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...doctor import Diagnosis, diagnose
from ...finding import Severity
from ..terminal import printable, show_json


class Command(BaseCommand):
    help = (
        "Looks at settings, database, broker, processes and what waits, and says what is wrong and what to do. It "
        "changes nothing. The exit status is 1 if there is a problem; warnings alone leave it 0."
    )
    requires_system_checks = ()  # the doctor runs them, and goes on

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings, too")

    def handle(self, *args: Any, **options: Any) -> None:
        found = []
        for diagnosis in diagnose():
            found.append(diagnosis)
            if not options["json"]:
                self._show(diagnosis)
        if options["json"]:
            show_json(self.stdout, [asdict(diagnosis) for diagnosis in found])
        severities = [finding.severity for diagnosis in found for finding in diagnosis.findings]
        problems, warnings = severities.count(Severity.PROBLEM), severities.count(Severity.WARNING)
        if problems or (options["strict"] and warnings):
            raise CommandError(f"{problems} problems, {warnings} warnings")
        if not options["json"]:
            self.stdout.write(f"No problem, {warnings} warnings." if warnings else self.style.SUCCESS("All is well."))

    def _show(self, diagnosis: Diagnosis) -> None:
        if diagnosis.passed_over:
            self.stdout.write(f"[ -- ] {diagnosis.title}: not looked at, {diagnosis.passed_over}")
        elif not diagnosis.findings:
            self.stdout.write(self.style.SUCCESS("[ ok ] ") + diagnosis.title)
        for finding in diagnosis.findings:
            is_problem = finding.severity is Severity.PROBLEM
            mark = self.style.ERROR("[FAIL] ") if is_problem else self.style.WARNING("[warn] ")
            self.stdout.write(f"{mark}{diagnosis.title}: {printable(finding.problem)}")
            self.stdout.write(f"       {printable(finding.cure)}")
