"""command_output: run a command of `manage.py` in this process."""

from __future__ import annotations

import io

from django.core.management import call_command


def command_output(name: str, *arguments: str) -> str:
    """What it wrote to its standard output, without colours. Raises CommandError."""
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, no_color=True)
    return out.getvalue()
