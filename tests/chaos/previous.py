"""Previous: the code of an earlier commit in a folder of its own, to be run beside this code."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings


@contextmanager
def code_of(commit: str) -> Iterator[Path]:
    """The folder, gone on leaving. Skips the test where the repository does not have the commit."""
    archive = subprocess.run(["git", "archive", commit], cwd=settings.BASE_DIR, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"needs the commit {commit} of the previous release: {archive.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory(prefix="airy_previous_") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)
