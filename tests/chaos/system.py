"""System: the servers, the processes on them as a supervisor keeps them, and the questions that a test has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from django.conf import settings

from tests.chaos import breakpoints
from tests.chaos.load.crash_points import FOLDER, counted, crash_point
from tests.chaos.load.topics import TOPIC_OF
from tests.support.seat import SEATED
from tests.support.servers.place import Place
from tests.support.servers.postgres import Cluster, running_cluster
from tests.support.servers.rabbitmq import Node, running_node


class System:
    """Keeps processes running by name: what ends without being told to is started again, as a supervisor does."""

    def __init__(self, folder: Path, cluster: Cluster, node: Node) -> None:
        self.folder = folder
        self.cluster = cluster
        self.node = node
        self.restarts = 0
        #: On if the test does not wait the minutes after which the system takes a late delivery for a lost one.
        self.in_a_hurry = False
        #: What the processes find in their environment beside what every system has.
        self.environment: dict[str, str] = {}
        self._commands: dict[str, tuple[str, ...]] = {}
        #: The folder of the code that a process runs.
        self._codes: dict[str, Path] = {}
        self._running: dict[str, subprocess.Popen] = {}

    # Processes ------------------------------------------------------------------------------------------------------

    def keep(self, name: str, *command: str, code: Path | None = None) -> None:
        """Start a Python command and keep it running. code: the folder of other code than this, to run it with."""
        self._commands[name] = command
        self._codes[name] = code or settings.BASE_DIR
        self._start(name)

    def run(self, name: str, *command: str, within: float = 240.0, code: Path | None = None) -> None:
        """Run a Python command to its end. Raises AssertionError with the logs unless it ends well."""
        self.begin(name, *command, code=code)
        self.finish(name, within=within)

    def begin(self, name: str, *command: str, code: Path | None = None) -> None:
        """Start a Python command that ends by itself; `finish` waits for that."""
        self.keep(name, *command, code=code)
        del self._commands[name]

    def finish(self, name: str, *, within: float = 240.0) -> None:
        """Raises AssertionError with the logs unless it ends well."""
        self.until(lambda: self.ended(name), what=f"{name} ends", within=within)
        assert self._running.pop(name).returncode == 0, self.logs()

    def worker(self, name: str, *, processes: int = 1, threads: int = 4) -> None:
        """Keep workers running, and a relay beside them."""
        sizes = ("--processes", str(processes), "--threads", str(threads))
        queues = [f"airy.{name}" for name in TOPIC_OF]
        self.keep(name, "manage.py", "rundramatiq", *sizes, "--queues", *queues)

    def kill(self, name: str) -> None:
        """SIGKILL to a process and its children, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._running[name].pid, signal.SIGKILL)
        self._running[name].wait(30)

    def signal(self, name: str, number: signal.Signals) -> None:
        """A signal to the named process alone; stopping and continuing reach its children, too."""
        if number in (signal.SIGSTOP, signal.SIGCONT):
            os.killpg(self._running[name].pid, number)
        else:
            self._running[name].send_signal(number)

    def ended(self, name: str) -> bool:
        """Whether it is down at the moment."""
        return self._running[name].poll() is not None

    def release(self, *names: str) -> None:
        """SIGTERM; these are kept no longer. Raises AssertionError if one does not end in time."""
        for name in names:
            del self._commands[name]
            self._running[name].terminate()
        for name in names:
            try:
                self._running.pop(name).wait(60)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} did not end on SIGTERM within 60 s:\n{self.logs()}") from None

    def supervise(self) -> None:
        """Start again what has ended."""
        for name in self._commands:
            if self.ended(name):
                self.kill(name)  # children that outlived it
                self.restarts += 1
                self._start(name)

    def end(self) -> None:
        """Kill everything that still runs."""
        for name in self._running:
            self.kill(name)

    def _start(self, name: str) -> None:
        environment = {
            "AIRY_TEST_CHILD": "on",
            "DJANGO_SETTINGS_MODULE": "tests.chaos.load.settings",
            "DATABASE_URL": self.cluster.url,
            "MQ_HOST": "127.0.0.1",
            "MQ_PORT": str(self.node.port),
            "MQ_USER": "guest",
            "MQ_PASSWORD": "guest",
            "MQ_VHOST": "/",
            "REDIS_URL": "",
            "LOG_LEVEL": "WARNING",
            "PGAPPNAME": "writer" if name.startswith("writer") else name,
            FOLDER: str(self.folder),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                (sys.executable, *self._commands[name]),
                cwd=self._codes[name],
                env=os.environ | environment | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    # Waiting --------------------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], object], *, what: str, within: float = 120.0) -> None:
        """Wait for a condition, supervising meanwhile. Raises AssertionError with the state of things."""
        deadline = time.monotonic() + within
        while True:
            with suppress(psycopg.OperationalError):
                if condition():
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within} s: {what}\n{self.state()}\n{self.logs()}")
            self.supervise()
            time.sleep(0.1)

    def until_it_moves_on(
        self, *, within: float = 240.0, names: Iterable[str] = TOPIC_OF, since: int | None = None
    ) -> None:
        """Wait until events emitted from now on are done by every subscriber. That is what recovery means.

        names: the subscribers that count. since: the sequence after which events count.
        """
        wanted = list(names)
        if since is None:
            since = self.cluster.value("SELECT coalesce(max(sequence), 0) FROM events_storedevent")
        done = """
            SELECT count(*) FROM unnest(%s::text[]) AS name WHERE EXISTS (
                SELECT FROM events_storedevent e JOIN events_delivery d USING (event_id)
                WHERE e.sequence > %s AND d.subscriber = name AND d.state <> 'retrying')
        """
        self.until(
            lambda: self.cluster.value(done, wanted, since) == len(wanted),
            what=f"events after {since} are done",
            within=within,
        )

    def active_relay(self) -> str:
        """The process whose relay holds the seat."""
        found: list[str] = []

        def seek() -> bool:
            rows = self.cluster.ask(f"SELECT application_name FROM pg_stat_activity WHERE pid = ({SEATED})")
            found[:] = [name for (name,) in rows if name in self._running]
            return bool(found)

        self.until(seek, what="a relay is active", within=60)
        return found[0]

    def relay_process(self) -> int:
        """The process of the active relay."""
        self.active_relay()
        return int(self.cluster.value("SELECT holder FROM events_relayterm ORDER BY number DESC LIMIT 1").split()[1])

    def worker_process(self, name: str) -> int:
        """A process of the named workers that runs deliveries."""
        beating = "SELECT pid FROM events_process WHERE kind = 'worker' AND beat_at > now() - interval '15 seconds'"
        found: list[int] = []

        def seek() -> bool:
            for (process,) in self.cluster.ask(beating):
                with suppress(ProcessLookupError):
                    if os.getpgid(process) == self._running[name].pid:
                        found.append(process)
            return bool(found)

        self.until(seek, what=f"{name} runs", within=60)
        return found[0]

    # Crash points ----------------------------------------------------------------------------------------------------

    def crash_at(self, step: str, *, within: float = 60.0) -> None:
        """Set a crash point in the workers' code and wait until a worker has died there."""
        point = crash_point(self.folder, step)
        point.touch()
        self.until(lambda: not point.exists(), what=f"a worker dies: {step}", within=within)

    def kill_at_breakpoint(self, step: str, *, within: float = 60.0) -> str:
        """Kill the first process that comes to this step in the database; returns its name."""
        with breakpoints.set_breakpoint(self.cluster, step) as one:
            caught: list[str] = []
            self.until(lambda: caught.append(one.waiting_process() or "") or caught[-1], what=step, within=within)
            self.kill(caught[-1])
        return caught[-1]

    # Figures and logs -----------------------------------------------------------------------------------------------

    def counted(self, name: str) -> int:
        """A count of the workers' middleware."""
        return counted(self.folder, name)

    def state(self) -> str:
        """What the tables and queues hold."""
        try:
            tables = self.cluster.ask(
                "SELECT (SELECT count(*) FROM events_storedevent), (SELECT count(*) FROM events_outboxmessage),"
                " (SELECT count(*) FROM events_outboxmessage WHERE due IS NOT NULL),"
                " (SELECT count(*) FROM events_delivery), (SELECT count(*) FROM events_delivery WHERE state='retrying')"
            )
        except psycopg.Error as error:
            return f"database: {error}"
        try:
            queues = self.node.control(
                "list_queues", "--no-table-headers", "name", "messages_ready", "messages_unacknowledged", "consumers"
            )
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            queues = str(error)
        return f"log, outbox, of it due, deliveries, of them retrying: {tables}\n{queues}"

    def logged(self, words: str) -> int:
        """How many lines of all logs have these words."""
        return sum(log.read_text(errors="replace").count(words) for log in self.folder.glob("*.log"))

    def logs(self, *, last: int = 2500) -> str:
        """The ends of the logs of all processes."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-last:]}" for log in logs)


@contextmanager
def system(folder: Path, *, code: Path | None = None, rabbitmq: Place | None = None) -> Iterator[System]:
    """Servers of the suite's own, with no breakpoint set, migrated by this code or by the one in the folder `code`.

    rabbitmq: where RabbitMQ's programs are, by default this machine. Raises ServerMissingError."""
    with running_cluster(folder / "cluster") as cluster, running_node(folder / "node", place=rabbitmq) as node:
        made = System(folder, cluster, node)
        try:
            made.run("migrate", "manage.py", "migrate", "--run-syncdb", "--verbosity", "0", code=code)
            breakpoints.install(cluster)
            only = "WHERE subscriber = 'load.own_transactions'"
            cluster.ask(f"CREATE UNIQUE INDEX chaos_own_transactions ON effects_effect (number) {only}")
            cluster.ask("CREATE INDEX chaos_effect ON effects_effect (number, subscriber)")
            cluster.ask("INSERT INTO effects_account (id, balance) SELECT n, 0 FROM generate_series(1, 8) n")
            yield made
        finally:
            made.end()
