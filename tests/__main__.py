"""The whole test run: at home first (SQLite, embedded), then on the services that answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.environment import REQUIRED, SERVICES, why_missing

ON_SERVICES = " or ".join(SERVICES)


def pytest(*arguments: str, **environment: str) -> int:
    """Run pytest in parallel; an empty selection is a success."""
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-n",
        os.environ.get("AIRY_TEST_WORKERS", "3"),
        "--dist",
        "worksteal",
        *arguments,
        *sys.argv[1:],
    )
    code = subprocess.run(command, env=os.environ | environment).returncode
    return 0 if code == 5 else code


def main() -> int:
    """Both passes; says at the end what was not exercised."""
    os.environ["AIRY_SERVICES"] = "on"
    # A shell lets what it starts in the background ignore Ctrl-C; tests send it to themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    missing = {service: why for service in (*SERVICES, "chromium") if (why := why_missing(service))}
    print("== at home: SQLite, embedded broker", flush=True)
    os.environ.pop("AIRY_TEST_RUN", None)
    failed = pytest("-m", f"not ({ON_SERVICES}) and not slow", AIRY_SERVICES="off")
    print(f"== on services: {', '.join(sorted(set(SERVICES) - missing.keys())) or 'none answers'}", flush=True)
    selection = "not slow and not home" if "postgres" not in missing else f"({ON_SERVICES}) and not slow"
    failed = pytest("-m", selection, AIRY_SERVICES="on") or failed
    for service, why in missing.items():
        print(f"NOT EXERCISED: {service}: {why}" + (" (required)" if service in REQUIRED else ""))
    return failed


if __name__ == "__main__":
    sys.exit(main())
