"""`manage.py rundramatiq`: relay and workers, each in a process of its own. It takes the place of django_dramatiq's
command, and all its options."""

from __future__ import annotations

import logging
import os
import sys
import threading
from io import StringIO
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import dramatiq
from django.core.management.base import CommandError, OutputWrapper
from django.db import connections
from django_dramatiq.management.commands import rundramatiq

from ...brokers.contract import EventBroker
from ...worker.pid_file import PidFileError, write_pid_file
from ...worker.services import close_pools
from ...worker.signals import HANDLED, block
from ...worker.supervisor import Supervisor, live
from ...worker.tasks import tasks
from ..claim import claim
from ..refuse_pooler import refuse_pooler

#: The exit codes of dramatiq: an option that makes no sense; a pid file of another process.
WRONG_OPTION, PID_FILE_TAKEN = 2, 4
#: Says which child of which supervisor this process is, where it was started afresh and not forked.
CHILD = "AIRY_EVENTS_CHILD"
FORMAT = "[%(asctime)s] [PID %(process)d] [%(threadName)s] [%(name)s] [%(levelname)s] %(message)s"


class Command(rundramatiq.Command):  # type: ignore[misc]
    help = (
        "Runs relay and workers, each in a process of its own that is started again when it ends. SIGTERM ends them in "
        "order, a second one hurries; SIGHUP ends them in order and starts again with new code."
    )

    stdout: OutputWrapper

    def handle(self, *args: Any, **options: Any) -> None:
        broker = dramatiq.get_broker()
        if not isinstance(broker, EventBroker):
            raise CommandError(f"{type(broker).__name__} cannot carry events. Run `manage.py check`.")
        refuse(options)
        sys.path[:0] = options["path"]
        supervisor, _, child = os.environ.pop(CHILD, "").partition(":")
        if not child:
            log_to(options["log_file"])
        if not options["skip_logging"]:
            logging.basicConfig(level=logging.INFO if options["verbosity"] < 2 else logging.DEBUG, format=FORMAT)
            logging.getLogger("pika").setLevel(logging.CRITICAL)
        if not self.stdout.isatty():  # it is a log, in which every line has the same form
            self.stdout = OutputWrapper(StringIO())
        self.discover_tasks_modules()
        to_do = tasks(
            broker,
            processes=options["processes"],
            threads=options["threads"],
            queues=options["queues"] or (),
            timeout=options["worker_shutdown_timeout"] / 1000,
            forks=options["forks"],
            watched=options["watch_dir"] and Path(options["watch_dir"]),
            supervisor=int(supervisor or os.getpid()),
        )
        claim(broker)
        if child:
            sys.exit(live(child, to_do[child], parent=int(supervisor)))
        current_process().name = "supervisor"
        refuse_pooler()
        connections.close_all()
        close_pools()
        # Threads do not come along in a fork, and what they have locked stays locked. macOS bears no fork at all.
        fresh = options["use_spawn"] or sys.platform != "linux" or threading.active_count() > 1
        one = Supervisor(
            to_do, timeout=options["worker_shutdown_timeout"] / 1000, spawn=start_afresh if fresh else None
        )
        self.supervise(one, options["pid_file"] and Path(options["pid_file"]))

    def supervise(self, supervisor: Supervisor, pid_file: Path | None) -> None:
        """Run the supervisor, and this program again after SIGHUP. Raises SystemExit with its code."""
        try:
            if pid_file:
                write_pid_file(pid_file)
        except PidFileError as error:
            raise CommandError(str(error), returncode=PID_FILE_TAKEN) from None
        outcome = supervisor.run()
        sys.stdout.flush()
        if outcome.reload:
            block()  # another signal waits until there is a supervisor again
            os.execv(sys.executable, this_program())
        if pid_file:
            pid_file.unlink(missing_ok=True)
        sys.exit(outcome.code)


def refuse(options: dict[str, Any]) -> None:
    """Raises CommandError for an option that makes no sense here."""
    if options["use_gevent"]:
        raise CommandError(
            "--use-gevent is not supported: deliveries run on threads, with time limits and database connections of "
            "their own. Use more --threads.",
            returncode=WRONG_OPTION,
        )
    for name in ("processes", "threads"):
        if options[name] < 1:
            raise CommandError(f"--{name} must be at least 1; it is {options[name]}.", returncode=WRONG_OPTION)
    if options["watch_dir"] and not Path(options["watch_dir"]).is_dir():
        raise CommandError(f"--watch: {options['watch_dir']} is no folder.", returncode=WRONG_OPTION)


def log_to(path: str | None) -> None:
    """Append what this process and its children write to a file. SIGHUP opens it anew."""
    if path:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise CommandError(f"--log-file: {error}", returncode=WRONG_OPTION) from None
        sys.stdout.flush()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)


def start_afresh(name: str) -> int:
    """Start a child as a program of its own; returns its number."""
    environment = os.environ | {CHILD: f"{os.getpid()}:{name}"}
    return os.posix_spawn(sys.executable, this_program(), environment, setsigmask=HANDLED)


def this_program() -> list[str]:
    """The command line that this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]
