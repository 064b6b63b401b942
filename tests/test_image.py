"""The image: what the Dockerfile and .dockerignore let into it, and that the application starts with that alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
SECRETS = (
    ".env", ".env.local", ".env.production", "airy/.env", "feeds/actions/.env.bak", "airy/.netrc", ".ssh/id_ed25519",
    "key.pem", "airy/server.pem", "server.key", "airy/tls/server.key", "airy/tls/server.crt",
    "var/secret_key", "secret_key", "airy/secret_key", "airy/secrets.json",
    "var/airy.sqlite3", "airy/copy.sqlite3-wal", "dump.sql", ".git/config", ".venv/bin/python", "docker-compose.yml",
    "tests/settings.py", "benchmarks/services.py", "feeds/__pycache__/x.cpython-311.pyc",
)  # fmt: skip


def ignored(path: str, patterns: list[str]) -> bool:
    """Whether Docker leaves a file out of the build: the last pattern that matches it, or a folder of it, decides."""
    folders = path.split("/")
    places = ["/".join(folders[: end + 1]) for end in range(len(folders))]
    is_ignored = False
    for pattern in patterns:
        if any(expression(pattern.removeprefix("!")).fullmatch(place) for place in places):
            is_ignored = not pattern.startswith("!")
    return is_ignored


def expression(pattern: str) -> re.Pattern[str]:
    """A pattern of .dockerignore: ** is any number of folders, * anything within a name."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    means = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(means.get(part, re.escape(part)) for part in parts))


def patterns() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def copied() -> Iterator[tuple[str, str]]:
    """Each source of a COPY, and its target, both from the folder of the project."""
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith(("COPY", "ADD")) and "--from=" not in line:
            *sources, target = line.split()[1:]
            for source in sources:
                yield source, source if target in (".", "./") else target


def in_image(path: str) -> bool:
    """Whether a file of the project's folder gets into the image."""
    is_copied = any(path == source or path.startswith(f"{source}/") or source == "." for source, _ in copied())
    return is_copied and not ignored(path, patterns())


def files_to_run() -> Iterator[str]:
    """The files that Airy consists of."""
    yield from ("manage.py", "requirements.txt", "LICENSE")
    for app in ("airy", "events", "feeds", "notifications"):
        for path in (ROOT / app).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT))


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_gets_into_the_image(secret: str) -> None:
    assert not in_image(secret)
    assert ignored(secret, patterns())


def test_the_patterns_are_read_as_docker_reads_them() -> None:
    assert ignored("a/b/c", ["a"])
    assert not ignored("a/b/c", ["*", "!a"])
    assert ignored("a/.env", ["*", "!a", "**/.env*"])
    assert not ignored("a/b.env", ["**/.env*"])
    assert ignored("a/b/c", ["a/?"])
    assert not ignored("a/b/c", ["a/*/d", "?/c", "b"])
    assert ignored("x.pem", ["**/*.pem"])


def test_what_is_copied_is_named_and_nothing_is_copied_as_a_whole() -> None:
    sources = {source for source, _ in copied()}
    requirements = {"requirements.txt", "requirements-tracing.txt"}
    assert sources == requirements | {"manage.py", "LICENSE", "airy", "events", "feeds", "notifications"}


def test_every_file_of_the_apps_gets_into_the_image() -> None:
    assert [path for path in files_to_run() if not in_image(path)] == []


def test_the_application_starts_with_what_is_in_the_image_alone(tmp_path: Path) -> None:
    for path in filter(in_image, files_to_run()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    command = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if "airy.asgi'" in line)
    command = command.removeprefix("RUN ").partition(" && chown")[0].replace("python", sys.executable)
    said = subprocess.run(
        ("sh", "-c", command), cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert len(list((tmp_path / "var" / "compressed").glob("*.gz"))) > 20
