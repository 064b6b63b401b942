"""The supervisor of `rundramatiq`: each process in a life of its own, and none after its supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import dramatiq
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from events.bus import emit
from events.models import Attempt, Delivery, OutboxMessage, Process
from events.worker import supervisor
from events.worker.pid_file import PidFileError, write_pid_file
from events.worker.supervisor import Child
from tests.chaos.load.crash_points import FOLDER, counted
from tests.conformance.processes import Manage, database_url
from tests.effects.events import Knocked
from tests.effects.subscribers import GATE
from tests.support.effects import all_done, assert_one_effect_each, ring

Eventually = Callable[..., None]


def workers() -> set[int]:
    """The numbers of the workers that beat."""
    return set(Process.objects.alive().filter(kind="worker").values_list("pid", flat=True))


def active_relay() -> int | None:
    found = Process.objects.alive().filter(figures__relay_active=True).order_by("-started_at")
    return found.values_list("pid", flat=True).first()


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def group_of(process: subprocess.Popen) -> list[int]:
    """The processes of a supervisor: all that are in its group."""
    found = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in found if lives(pid) and _group(pid) == process.pid]


def _group(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


@pytest.fixture
def ended(manage: Manage) -> Iterator[list[subprocess.Popen]]:
    """Kills the whole group of each supervisor that a test put in here."""
    started: list[subprocess.Popen] = []
    yield started
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.parametrize("hurry", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_code_that_holds_the_interpreter_stops_neither_the_relay_nor_the_other_workers(
    manage: Manage, eventually: Eventually, tmp_path: Path, hurry: bool
) -> None:
    """It hears no signal either: it is killed when its time to end is over, or soon after a second SIGTERM."""
    process = manage(
        *("rundramatiq", "--processes", "2", "--threads", "4"),
        *("--worker-shutdown-timeout", "600000" if hurry else "1000"),
        **{FOLDER: str(tmp_path), "LOG_LEVEL": "INFO"},
    )
    eventually(lambda: len(workers()) == 2 and active_relay(), within=60)
    ring(1, mood="stuck")
    eventually(lambda: counted(tmp_path, "stuck"), within=30)
    ring(40, start=1)
    eventually(lambda: not OutboxMessage.objects.exists(), within=30)
    eventually(lambda: Delivery.objects.filter(state="done").count() > 40, within=60)
    process.send_signal(signal.SIGTERM)
    eventually(lambda: "processes end" in manage.log(), within=30)
    if hurry:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == supervisor.KILLED
    assert group_of(process) == []
    assert "processes killed that did not end" in manage.log()


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_a_process_that_is_killed_is_started_again_and_the_others_go_on(manage: Manage, eventually: Eventually) -> None:
    process = manage.worker(processes=2)
    eventually(lambda: len(workers()) == 2 and active_relay(), within=60)
    relay, (killed, sibling) = active_relay(), workers()
    ring(100)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(workers() - {killed}) == 2, within=60)
    eventually(lambda: all_done(100), within=60)
    assert sibling in workers()
    assert active_relay() == relay

    os.kill(relay, signal.SIGKILL)
    ring(100, start=100)
    eventually(lambda: all_done(200), within=60)
    eventually(lambda: active_relay() != relay, within=20)
    assert sibling in workers()
    assert_one_effect_each(200)
    assert manage.log().count("process ended by itself") == manage.log().count("SIGKILL") == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == supervisor.ENDED


def test_a_killed_supervisor_leaves_no_process_and_what_ran_is_done_once(
    manage: Manage, eventually: Eventually, ended: list[subprocess.Popen]
) -> None:
    process = manage.worker(processes=2)
    ended.append(process)
    ring(200)
    eventually(lambda: Delivery.objects.count() > 40, within=60)
    process.kill()
    process.wait(30)
    eventually(lambda: group_of(process) == [], within=60)
    assert Process.objects.count() == 0, "each ended in order"
    manage.worker()
    eventually(lambda: all_done(200), within=60)
    assert_one_effect_each(200)
    assert not Attempt.objects.exists()


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_process_that_was_stopped_or_hears_no_signal(
    manage: Manage, eventually: Eventually, ended: list[subprocess.Popen], tmp_path: Path
) -> None:
    process = manage(
        *("rundramatiq", "--processes", "1", "--threads", "2", "--worker-shutdown-timeout", "1000"),
        **{FOLDER: str(tmp_path)},
    )
    ended.append(process)
    eventually(active_relay, within=60)
    ring(1, mood="stuck")
    eventually(lambda: counted(tmp_path, "stuck"), within=60)
    stopped = active_relay()
    assert stopped
    (guard,) = set(group_of(process)) - {process.pid, stopped, *workers()}
    os.kill(guard, signal.SIGKILL)
    eventually(lambda: len(set(group_of(process)) - {guard}) == 4, within=30)
    os.kill(stopped, signal.SIGSTOP)
    for pid in set(group_of(process)) - {process.pid}:
        os.kill(pid, signal.SIGTERM)  # what a process manager sends to all ends no guard
    process.kill()
    process.wait(30)
    eventually(lambda: group_of(process) == [], within=60)


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_a_worker_that_finishes_what_runs_before_it_ends_beats_meanwhile(
    manage: Manage, eventually: Eventually
) -> None:
    process = manage.worker(LOG_LEVEL="INFO")
    with psycopg.connect(database_url()) as session, session.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
        with transaction.atomic():
            emit(Knocked(number=1))
        eventually(lambda: Process.objects.filter(figures__busy=1).exists(), within=60)
        (run,) = Process.objects.get(kind="worker").figures["runs"]
        assert run["subscriber"] == "effects.stand_before_the_gate"
        process.send_signal(signal.SIGTERM)
        eventually(lambda: not Process.objects.filter(kind="relay").exists(), within=30)
        since = timezone.now()
        eventually(lambda: Process.objects.filter(kind="worker", beat_at__gt=since).exists(), within=30)
    assert process.wait(60) == supervisor.ENDED
    assert not Process.objects.exists()
    assert Delivery.objects.get(subscriber="effects.stand_before_the_gate").state == "done"


def test_workers_told_to_end_do_so_in_order(manage: Manage, eventually: Eventually) -> None:
    process = manage.worker(processes=2, LOG_LEVEL="INFO")
    eventually(lambda: manage.log().count("worker ready") == 2, within=60)
    ring(100)
    eventually(lambda: Delivery.objects.exists(), within=60)
    os.killpg(process.pid, signal.SIGTERM)  # to each, and once more from the supervisor: it hurries nobody
    assert process.wait(60) == supervisor.ENDED
    assert not Process.objects.exists()
    lines = [json.loads(line) for line in manage.log().splitlines()]
    said = Counter((line["process"].split()[0], line["event"]) for line in lines)
    expected = {"supervisor": 1, "worker": 2} | ({} if dramatiq.get_broker().in_process else {"relay": 1})
    for who, times in expected.items():
        assert said[who, f"{who} ready"] == said[who, f"{who} stopped"] == times
    manage.worker()
    eventually(lambda: all_done(100), within=60)
    assert_one_effect_each(100)
    assert not Attempt.objects.exists()
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.slow
def test_a_stopped_worker_is_silent_and_the_others_work_on(manage: Manage, eventually: Eventually) -> None:
    process = manage.worker(processes=2)
    eventually(lambda: len(workers()) == 2 and active_relay(), within=60)
    stopped, sibling = workers()
    os.kill(stopped, signal.SIGSTOP)
    done = Delivery.objects.filter(state="done")
    for number in range(3):
        before = done.count()
        ring(20, start=20 * number)
        eventually(lambda before=before: done.count() > before, within=30)
    eventually(lambda: workers() == {sibling}, within=60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == supervisor.ENDED, "it was continued, to end"


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.parametrize("reloads", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_reload_under_load_loses_nothing_and_costs_no_attempt(
    manage: Manage, eventually: Eventually, tmp_path: Path, reloads: int
) -> None:
    code, said, pid_file = tmp_path / "version.py", tmp_path / "said", tmp_path / "pid"

    def write(version: int) -> None:
        code.write_text(f"from pathlib import Path\ndef say():\n    Path({str(said)!r}).write_text('{version}')\n")

    def says(version: int) -> bool:
        return said.exists() and said.read_text() == str(version)

    write(0)
    process = manage(
        *("rundramatiq", "--processes", "1", "--threads", "4", "--pid-file", str(pid_file)),
        *("--path", str(tmp_path), "--fork-function", "version:say"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    for version in range(reloads):
        eventually(lambda version=version: says(version), within=60)
        ring(60, start=60 * version)
        eventually(lambda version=version: Delivery.objects.count() > 240 * version, within=60)
        write(version + 1)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
    eventually(lambda: says(reloads) and all_done(60 * reloads), within=90)
    assert int(pid_file.read_text()) == process.pid
    assert_one_effect_each(60 * reloads)
    assert not Attempt.objects.exists()
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == supervisor.ENDED
    assert not pid_file.exists()


@pytest.mark.slow
def test_a_changed_file_starts_all_again(manage: Manage, eventually: Eventually, tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text("")
    process = manage("rundramatiq", "--processes", "1", "--watch", str(tmp_path))
    eventually(workers, within=60)
    before = workers()
    code.write_text("changed = True")
    eventually(lambda: workers() and not workers() & before, within=60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == supervisor.ENDED


@pytest.mark.slow
def test_dramatiqs_own_program_runs_the_relay_in_the_worker(manage: Manage, eventually: Eventually) -> None:
    program = str(Path(sys.executable).with_name("dramatiq"))
    process = manage.start(program, "--processes", "1", "--threads", "4", "django_dramatiq.setup")
    ring(20)
    eventually(lambda: all_done(20), within=60)
    assert {active_relay()} == workers()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.slow
def test_processes_may_be_started_afresh_instead_of_forked(manage: Manage, eventually: Eventually) -> None:
    process = manage("rundramatiq", "--processes", "1", "--threads", "4", "--use-spawn")
    ring(20)
    eventually(lambda: all_done(20), within=60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == supervisor.ENDED
    assert_one_effect_each(20)


def test_the_pauses_between_restarts_grow_until_a_process_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now)
    child = Child("worker 1", lambda signals: 0)
    pauses = []
    for _ in range(8):
        child.started = now
        now += 1
        pauses.append(child.ended())
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30]
    child.started = now
    now += 60
    assert child.ended() == 0


def test_a_pid_file_of_a_process_that_runs_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    write_pid_file(path)
    write_pid_file(path)  # after a reload
    path.write_text(str(os.getppid()))
    with pytest.raises(PidFileError, match="runs already"):
        write_pid_file(path)
    path.write_text("[config]")
    with pytest.raises(PidFileError, match="no process number"):
        write_pid_file(path)
    assert path.read_text() == "[config]"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--use-gevent"], "not supported"),
        (["--processes", "0"], "at least 1"),
        (["--threads", "0"], "at least 1"),
        (["--watch", "/no/such/folder"], "no folder"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_in_words(options: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as refusal:
        call_command("rundramatiq", *options)
    assert refusal.value.returncode == 2
