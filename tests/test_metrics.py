"""Metrics: what /metrics says of an installation adds up, whichever process is asked and however others have ended."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from events.models import Delivery, Process
from tests.conformance.processes import Manage
from tests.gate.test_served import free_port
from tests.support.effects import all_done, ring

Eventually = Callable[..., None]
Samples = dict[str, float]
SERVER = (sys.executable, "-m", "uvicorn", "airy.asgi:application", "--no-access-log", "--log-level", "warning")


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return str(answer.read().decode())


def answers(port: int) -> bool:
    try:
        return bool(get(port, "/healthz"))
    except OSError:
        return False


def scraped(port: int) -> Samples:
    """The samples by name, with the labels' values behind it, in the order of the labels' names."""
    families = text_string_to_metric_families(get(port, "/metrics"))
    return {" ".join([one.name, *one.labels.values()]): one.value for family in families for one in family.samples}


def counters(samples: Samples) -> Samples:
    """Those that must never fall."""
    return {name: value for name, value in samples.items() if name.split()[0].endswith(("_total", "_bucket", "_count"))}


def fallen(before: Samples, after: Samples) -> Samples:
    return {name: after.get(name, -1) for name, value in counters(before).items() if after.get(name, -1) < value}


def done(samples: Samples) -> dict[str, float]:
    """What the subscribers of `Rang` have done, by name."""
    start = "airy_deliveries_total done effects."
    return {name.split()[-1]: value for name, value in samples.items() if name.startswith(start) and value}


def in_the_inbox() -> Counter[str]:
    rows = Delivery.objects.filter(subscriber__startswith="effects.", state="done")
    return Counter(rows.values_list("subscriber", flat=True))


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_counts_add_up_over_two_servers_and_two_workers_through_a_kill_of_each(
    manage: Manage, eventually: Eventually
) -> None:
    ports = [free_port(), free_port()]
    servers = [manage.start(*SERVER, "--port", str(port), LOG_LEVEL="WARNING") for port in ports]
    manage.worker(processes=2, LOG_LEVEL="WARNING")
    eventually(lambda: all(map(answers, ports)), within=60)
    eventually(lambda: Process.objects.alive().count() == 5, within=60)
    ring(300)
    for _ in range(7):
        get(ports[0], "/healthz")
        get(ports[1], "/healthz")
        get(ports[1], "/api/posts")
    eventually(lambda: all_done(300), within=60)
    everybody_has_beaten(eventually)
    before = scraped(ports[0])
    assert done(before) == in_the_inbox()
    assert before["airy_relay_answers_total confirmed"] >= 300
    assert before["airy_delivery_latency_seconds_count effects.alone"] == 300
    assert before["airy_http_requests_total read /api/posts 2xx"] == 7
    assert before["airy_http_requests_total read /healthz 2xx"] >= 14
    assert [before[f"airy_processes {kind}"] for kind in ("web", "worker", "relay")] == [2, 2, 1]
    assert (before["airy_relay_active"], before["airy_broker_up"], before["airy_worker_threads"]) == (1, 1, 8)
    assert [name for name in before if name.startswith("airy_build_info")] == ["airy_build_info 0.1.0"]

    killed = Process.objects.filter(kind="worker").latest("pid").pid
    os.kill(killed, signal.SIGKILL)
    servers[0].kill()
    servers[0].wait(30)
    after = scraped(ports[1])
    assert fallen(before, after) == {}
    assert done(after) == done(before)

    server = manage.start(*SERVER, "--port", str(ports[0]), LOG_LEVEL="WARNING")
    eventually(lambda: answers(ports[0]), within=60)
    eventually(lambda: Process.objects.filter(kind="worker").exclude(pid=killed).alive().count() == 2, within=60)
    ring(200, start=300)
    seen = [after]

    def all_done_and_nothing_fell() -> bool:
        for port in ports:
            seen.append(scraped(port))
            assert fallen(seen[-2], seen[-1]) == {}
        return all_done(500)

    eventually(all_done_and_nothing_fell, within=60)
    everybody_has_beaten(eventually)
    assert done(scraped(ports[0])) == in_the_inbox()
    server.terminate()
    server.wait(30)
    last = scraped(ports[1])
    assert fallen(seen[-1], last) == {}
    assert done(last) == in_the_inbox()


def everybody_has_beaten(eventually: Eventually) -> None:
    """Every process that is alive has told what it has counted until now."""
    now = timezone.now()
    eventually(lambda: not Process.objects.alive().filter(beat_at__lte=now).exists(), within=30)
