"""The whole test run: at home first (SQLite, embedded), then on the services that answer.

Arguments go to pytest, in both passes: `python -m tests tests/feeds -k hot`. `--slow` runs the full sizes instead of
the small ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.environment import REQUIRED, SERVICES, why_missing

ON_SERVICES = " or ".join(SERVICES)
#: Pytest's exit status when no test was selected.
NOTHING_SELECTED = 5


def pytest(*arguments: str, **environment: str) -> int:
    """Run pytest in parallel; returns its exit status."""
    # More than this machine may have processors: the long tests wait more than they compute.
    workers = os.environ.get("AIRY_TEST_WORKERS", "4")
    command = (sys.executable, "-m", "pytest", "-n", workers, "--dist", "worksteal", *arguments)
    return subprocess.run(command, env=os.environ | environment).returncode


def main(arguments: list[str]) -> int:
    """Both passes; says at the end what was not exercised."""
    size = "slow" if "--slow" in arguments else "not slow"
    arguments = [one for one in arguments if one != "--slow"]
    # A shell lets what it starts in the background ignore Ctrl-C; tests send it to themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["AIRY_SERVICES"] = "on"
    missing = {service: why for service in (*SERVICES, "chromium") if (why := why_missing(service))}
    os.environ.pop("AIRY_TEST_RUN", None)
    print("== at home: SQLite, embedded broker", flush=True)
    at_home = pytest("-m", f"not ({ON_SERVICES}) and {size}", *arguments, AIRY_SERVICES="off")
    print(f"== on services: {', '.join(sorted(set(SERVICES) - missing.keys())) or 'none answers'}", flush=True)
    selection = f"not home and {size}" if "postgres" not in missing else f"({ON_SERVICES}) and {size}"
    on_services = pytest("-m", selection, *arguments, AIRY_SERVICES="on")
    for service, why in missing.items():
        print(f"NOT EXERCISED: {service}: {why}" + (" (required)" if service in REQUIRED else ""))
    failed = [status for status in (at_home, on_services) if status not in (0, NOTHING_SELECTED)]
    return failed[0] if failed else min(at_home, on_services)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
