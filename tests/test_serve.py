"""Serving: a wrong start ends with one line that names the cure."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.conformance.processes import Manage

pytestmark = pytest.mark.home


@pytest.mark.parametrize("command", ["up", "runserver"])
def test_a_taken_port_is_named_without_a_traceback(manage: Manage, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        more = ("--noreload",) if command == "runserver" else ()
        assert manage(command, address, *more).wait(60) == 1
    assert f"Cannot listen on {address}. If the port is in use, try another" in manage.log()
    assert "Traceback" not in manage.log()


@pytest.mark.parametrize("command", ["up", "runserver"])
def test_a_database_without_its_tables_is_named_with_the_cure(command: str, tmp_path: Path) -> None:
    kept = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": os.environ["SECRET_KEY"],
        "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3",
    }
    said = subprocess.run(
        (sys.executable, "manage.py", command, "127.0.0.1:1"),
        cwd=settings.BASE_DIR, env=kept, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert said.returncode == 1
    assert "Run `manage.py migrate` first" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_web_process_collects_no_garbage_among_what_it_has_loaded() -> None:
    script = """
import gc, airy.asgi
from django.test import Client
frozen = gc.get_freeze_count()
Client().get("/healthz")
Client().get("/nothing-here")
print(frozen, len(gc.get_objects()))
"""
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": os.environ["SECRET_KEY"], "DEBUG": "on"}
    said = subprocess.run(
        (sys.executable, "-c", script), cwd=settings.BASE_DIR, env=kept, capture_output=True, text=True, check=True
    ).stdout
    frozen, other = map(int, said.split())
    assert frozen > 50_000
    assert other < frozen / 3


def test_a_malformed_address_is_named_with_the_form(manage: Manage) -> None:
    manage("runserver", "127.0.0.1:0x", "--noreload").wait(60)
    assert "Use PORT or ADDR:PORT" in manage.log()
