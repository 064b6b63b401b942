"""Diagnose: make all examinations, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.utils.module_loading import autodiscover_modules

from ..errors import summary
from ..finding import Finding, Severity
from . import broker, configuration, database, drivers, relay, subscribers  # noqa: F401 - they declare examinations
from .examination import CannotExamineError, Examination, examinations


@dataclass
class Diagnosis:
    """What one examination found. passed_over: why there was none; empty if there was."""

    title: str
    findings: list[Finding] = field(default_factory=list)
    passed_over: str = ""


def diagnose() -> Iterator[Diagnosis]:
    """The diagnoses, each as soon as it is made. An examination that fails is a finding itself."""
    autodiscover_modules("doctor")
    unusable = database.why_unusable()
    for one in sorted(examinations, key=lambda one: one.needs_database):
        if one.needs_database and unusable:
            yield Diagnosis(one.title, passed_over=unusable)
        else:
            yield _made(one)


def _made(one: Examination) -> Diagnosis:
    diagnosis = Diagnosis(one.title)
    try:
        diagnosis.findings += one.look()
    except CannotExamineError as error:
        diagnosis.passed_over = str(error)
    except Exception as error:  # noqa: BLE001 - whatever an examination meets is what the doctor is for
        diagnosis.findings.append(
            Finding(
                problem=f"This could not be looked at: {summary(error)}",
                cure="Mend what the other findings name first. If none does, report it as a fault of the doctor.",
                severity=Severity.WARNING,
            )
        )
    return diagnosis
