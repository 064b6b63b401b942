"""worker_command: what `manage.py rundramatiq` turns itself into."""

from __future__ import annotations

import io
from functools import cache
from unittest.mock import patch

from django.core.management import call_command


@cache
def worker_command(*options: str, also: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The program and its arguments, as `rundramatiq` hands them to the operating system; `also`: more modules that
    hold subscribers.

    Who starts it without `manage.py` saves one of two starts of Django, about a second of processor time.
    """
    with patch("os.execvp") as replace_process:
        call_command("rundramatiq", *options, stdout=io.StringIO())
    program, arguments = replace_process.call_args.args
    return (program, *arguments[1:], *also)
