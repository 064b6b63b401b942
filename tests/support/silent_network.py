"""Silent network: run in a network namespace of its own (`unshare --net`), with a PostgreSQL of its own, by
tests/test_postgresql.py. Prints the seconds after which a statement ends with an error once the network is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.servers.postgres import running_cluster


def main(query: str) -> None:
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    with TemporaryDirectory() as folder, running_cluster(Path(folder) / "server") as cluster:
        os.environ["DATABASE_URL"] = f"{cluster.url}?{query}"
        os.environ["DJANGO_SETTINGS_MODULE"] = "airy.settings"
        import django

        django.setup()
        from django.db import OperationalError, connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            down = threading.Timer(0.5, subprocess.run, [("ip", "link", "set", "lo", "down")])
            down.start()
            started = time.monotonic()
            try:
                cursor.execute("SELECT pg_sleep(120)")
            except OperationalError:
                sys.stdout.write(f"{time.monotonic() - started:.1f}\n")
            down.join()
        subprocess.run(("ip", "link", "set", "lo", "up"), check=True)


if __name__ == "__main__":
    main(sys.argv[1])
