"""The environment of a test run, set before Django reads its settings: at home by default, on services with
AIRY_SERVICES=on.

A service that does not answer is left out, and the tests that need it skip with the reason;
AIRY_REQUIRE=postgres,rabbitmq,… turns those skips into failures. Databases, vhosts and key prefixes belong to this
run alone.
"""

from __future__ import annotations

import os
import shutil
import socket
from urllib.parse import urlparse

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
RUN = os.environ.setdefault("AIRY_TEST_RUN", f"airy_test_{os.getpid()}")

SERVICES = {
    "postgres": os.environ.get("AIRY_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432"),
    "rabbitmq": os.environ.get("AIRY_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672"),
    "redis": os.environ.get("AIRY_TEST_REDIS", "redis://127.0.0.1:6379"),
}


def why_missing(service: str) -> str | None:
    """Why a service cannot be used in this run, or None if it can."""
    if service == "chromium":
        return None if CHROMIUM else "no chromium on PATH"
    if os.environ.get("AIRY_SERVICES") != "on":
        return "AIRY_SERVICES=on is not set"
    url = urlparse(SERVICES[service])
    try:
        socket.create_connection((url.hostname, url.port), timeout=2).close()
    except OSError as error:
        return f"nothing answers at {url.hostname}:{url.port} ({error})"
    if service == "rabbitmq" and not shutil.which("rabbitmqctl"):
        return "no rabbitmqctl on PATH to make vhosts with"
    return None


MISSING = {service: why for service in (*SERVICES, "chromium") if (why := why_missing(service))}
REQUIRED = {name for name in os.environ.get("AIRY_REQUIRE", "").split(",") if name}


def set_up() -> None:
    """Point the settings at this run's own places."""
    # Without .pyc files each of the processes that tests start, a few hundred, would compile the project anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name, value in HOME.items():
        os.environ.setdefault(name, value)
    if "postgres" not in MISSING:
        os.environ["DATABASE_URL"] = f"{SERVICES['postgres']}/{RUN}"
    if "redis" not in MISSING:
        os.environ |= {"REDIS_URL": SERVICES["redis"], "REDIS_PREFIX": f"{RUN}-{WORKER}"}
    if "rabbitmq" not in MISSING:
        url = urlparse(SERVICES["rabbitmq"])
        os.environ |= {
            "MQ_HOST": url.hostname or "",
            "MQ_PORT": str(url.port),
            "MQ_USER": url.username or "guest",
            "MQ_PASSWORD": url.password or "guest",
            "MQ_VHOST": f"{RUN}-{WORKER}",
        }


HOME = {
    "SECRET_KEY": "only-for-tests-and-long-enough-for-a-production-start",
    "RATE_LIMITS": "off",
    "LOG_LEVEL": "ERROR",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
}
#: A process that a test starts is told everything by its environment.
if os.environ.get("AIRY_TEST_CHILD") != "on":
    set_up()
