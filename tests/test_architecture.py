"""The architecture: imports go down only; files stay readable; the pieces we build on are there."""

import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
SOURCES = [
    path
    for app in ("airy", "events", "feeds", "notifications")
    for path in (ROOT / app).rglob("*.py")
    if "migrations" not in path.parts
]


def test_imports_go_down_only() -> None:
    # In a process of its own: it disables every logger it finds.
    command = (sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_file_is_short_and_named_by_what_it_holds() -> None:
    long = {str(path.relative_to(ROOT)) for path in SOURCES if len(path.read_text().splitlines()) > 400}
    vague = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.stem in {"utils", "helpers", "common", "core", "base"}
        and path.parent.name not in {"sqlite", "postgresql"}
    }
    assert (long, vague) == (set(), set())


def test_migrations_match_the_models() -> None:
    command = (sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).returncode == 0


def test_what_we_use_of_dramatiq_is_there() -> None:
    """Hooks of its worker that are no documented contract: a new version must be read before it is taken."""
    from dramatiq import get_broker
    from dramatiq.common import compute_backoff, iter_queue
    from dramatiq.threading import raise_thread_exception
    from dramatiq.worker import ConsumerThread, Worker, _WorkerMiddleware

    assert hasattr(_WorkerMiddleware, "after_declare_queue")
    worker = Worker(get_broker(), worker_threads=1)
    assert {"emit_before", "emit_after"} <= set(dir(worker.broker))
    assert list(iter_queue(worker.work_queue)) == []
    assert worker.consumers == {}
    assert callable(ConsumerThread.requeue_messages)
    assert compute_backoff(0, factor=10, max_backoff=100)[0] == 1
    assert callable(raise_thread_exception)


def test_the_conformance_suite_needs_no_other_tests() -> None:
    """Another project copies the folder, and adds its broker."""
    imports = re.compile(r"^\s*(?:from|import) (tests\b[\w.]*)", re.MULTILINE)
    suite = ROOT / "tests" / "conformance"
    needed = {module for path in suite.rglob("*.py") for module in imports.findall(path.read_text())}
    assert {module for module in needed if not module.startswith("tests.conformance")} == set()
