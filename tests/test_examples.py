"""The examples run as programs of their own and print the promised output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_async_example_shows_the_pool_the_queue_and_both(tmp_path: Path, elsewhere: bool) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    example = settings.BASE_DIR / "examples" / "async_example.py"
    ended = subprocess.run(
        (sys.executable, example),
        cwd=tmp_path if elsewhere else settings.BASE_DIR,
        # As on a machine where Airy runs on services: the example still uses none.
        env=os.environ
        | {"TMPDIR": str(temporary), "MQ_HOST": "nowhere.invalid", "REDIS_URL": "redis://nowhere.invalid"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.strip() for line in ended.stdout.splitlines()]
    assert lines[:-1] == [
        "1. The pool alone",
        "a function: 144",
        "coroutines: page of ada, page of grace, page of linus",
        "a failure stays with its task: TypeError",
        "full: 3 running, 0 free of 3",
        "2. The queue alone",
        "order 2 was rolled back (no such customer), so its event does not exist",
        "order 1 reserved at attempt 2",
        "3. Both together",
        "e-mails sent for parcels 1 2 3 4 5 6 7 8 9 10 11 12",
        "never more than 4 tasks at once: yes",
    ]
    assert lines[-1].startswith("Closed in order: ")
    assert lines[-1].endswith(" 0 running.")
    assert list(temporary.iterdir()) == []
