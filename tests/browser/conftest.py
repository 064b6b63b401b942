"""Browsers: Airy as people run it, in a process and a database of its own, and Chromium windows on it.

On services the site uses them, too: a PostgreSQL database, a RabbitMQ vhost and a Redis prefix of its own. In the
vhost of the other tests it would take their messages.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from django.conf import settings
from playwright import sync_api as playwright

from tests.conformance.rabbitmq import new_vhost
from tests.environment import CHROMIUM, MISSING, RUN, SERVICES, WORKER
from tests.support.mail_server import MailServer, mail_server

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PASSWORD = "correct horse battery"
#: Milliseconds that anything may take on a busy machine.
PATIENCE = 20_000
playwright.expect.set_options(timeout=PATIENCE)

Page = playwright.Page
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The address of a database for the site alone."""
    if "postgres" in MISSING:
        yield ""
        return
    import psycopg

    name = f"{RUN}_{WORKER}_browser"
    with psycopg.connect(f"{SERVICES['postgres']}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield f"{SERVICES['postgres']}/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class Site:
    """`manage.py up` on a port of its own."""

    def __init__(self, folder: Path, database: str, vhost: str, mail_port: int) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._log = folder / "site.log"
        self._environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "airy.settings",
            "DATABASE_URL": database or f"sqlite:///{folder}/site.sqlite3",
            "ALLOWED_HOSTS": "127.0.0.1",
            "RATE_LIMITS": "off",
            "LOG_LEVEL": "WARNING",
            "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
            "MQ_VHOST": vhost or "/",
            "REDIS_PREFIX": f"{settings.REDIS_PREFIX}-site",
        }
        self.manage("migrate", "--verbosity", "0")

    def start(self) -> None:
        """Until it answers; fails with what it said."""
        self._process = self._manage("up", f"127.0.0.1:{self._port}")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.address}/healthz", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"the site did not come up:\n{self._log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._process.terminate()
        try:
            self._process.wait(45)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def manage(self, *arguments: str, **environment: str) -> None:
        """Run a command of `manage.py` to its end; fails with what was said."""
        if self._manage(*arguments, **environment).wait():
            pytest.fail(f"{arguments} failed:\n{self._log.read_text(errors='replace')[-3000:]}")

    def _manage(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                (sys.executable, "manage.py", *arguments),
                cwd=settings.BASE_DIR,
                env=self._environment | environment,
                stdout=log,
                stderr=log,
            )


@pytest.fixture(scope="session")
def mailbox() -> Iterator[MailServer]:
    """The mail server of the site, with the letters that it took."""
    with mail_server() as server:
        yield server


@pytest.fixture(scope="session")
def site(database: str, mailbox: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Airy, running."""
    with ExitStack() as stack:
        vhost = ""
        if settings.AIRY_BROKER == "rabbitmq":
            vhost = stack.enter_context(new_vhost(f"{settings.MQ_VHOST}-site"))
        running = Site(tmp_path_factory.mktemp("site"), database, vhost, mailbox.port)
        running.start()
        yield running
        running.stop()


@pytest.fixture(scope="package")
def chromium() -> Iterator[playwright.Browser]:
    """One browser for all tests of this folder, and no others: while it lives, this thread has an event loop, and
    Django's ORM refuses to work."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def new_window(chromium: playwright.Browser, site: Site) -> Iterator[Callable[..., playwright.BrowserContext]]:
    """Open a window that shares nothing with the others; what a page reports as an error fails the test."""
    opened, complaints = [], []

    def window(**options: object) -> playwright.BrowserContext:
        context = chromium.new_context(**{"base_url": site.address, "locale": "en-GB"} | options)
        context.set_default_timeout(PATIENCE)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        opened.append(context)
        return context

    yield window
    for context in opened:
        context.close()
    assert not complaints


@pytest.fixture
def open_page(new_window: Callable[..., playwright.BrowserContext]) -> OpenPage:
    """Open a window with somebody new signed in, whose name begins as given; the page has `.name`."""

    def somebody(name: str, **options: object) -> Page:
        context = new_window(**options)
        name = f"{name}-{secrets.token_hex(4)}"
        answer = context.request.post("/api/register", data={"username": name, "password": PASSWORD})
        assert answer.status == 201, answer.text()
        page = context.new_page()
        page.name = name
        return page

    return somebody


@pytest.fixture(scope="session")
def administrator(site: Site) -> str:
    """The name of an administrator."""
    name = f"operator-{secrets.token_hex(4)}"
    command = ("createsuperuser", "--noinput", "--username", name, "--email", "op@example.org")
    site.manage(*command, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    return name


@pytest.fixture
def operator(new_window: Callable[..., playwright.BrowserContext], administrator: str) -> OpenPage:
    """Opens a window with an administrator signed in."""

    def open_page(**options: object) -> Page:
        context = new_window(**options)
        answer = context.request.post("/api/login", data={"username": administrator, "password": PASSWORD})
        assert answer.ok, answer.text()
        return context.new_page()

    return open_page
