"""Place: where a server's programs are and its files go: this machine, or a folder that holds another system."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers.process import ServerMissingError

#: RabbitMQ reads its memory from /proc. The mount is seen by the command alone and ends with it.
ENTER = 'root=$1; shift; mount --bind /proc "$root/proc" && exec chroot "$root" "$@"'
#: Names the folder that holds a Debian with RabbitMQ 4.
RABBITMQ4_ROOT = "AIRY_RABBITMQ4_ROOT"


@dataclass(frozen=True)
class Place:
    """Only root may start programs of another system (`chroot`)."""

    #: The folder of the other system; None is this machine.
    root: Path | None = None

    def command(self, *words: str) -> tuple[str, ...]:
        """What starts this command there."""
        if self.root is None:
            return words
        return ("unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", str(self.root), *words)

    def inside(self, path: Path) -> Path:
        """The name that a program there knows this machine's path by."""
        return path if self.root is None else Path("/") / path.relative_to(self.root)

    def folder(self, wanted: Path, *, name: str) -> Path:
        """The folder for a server's files, as this machine names it: the wanted one, or one within the system."""
        return wanted if self.root is None else self.root / "tmp" / name

    def rabbitmq_programs(self) -> Path:
        """The folder of RabbitMQ's own scripts, as a program there names it: a distribution's wrappers change the user
        and the home. Raises ServerMissingError."""
        top = self.root or Path("/")
        candidates = sorted((top / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
        if self.root is None and (wrapper := shutil.which("rabbitmq-server")):
            candidates.append(Path(wrapper).resolve().parent)
        for folder in candidates:
            if (folder / "rabbitmq-server").exists() and (folder / "rabbitmqctl").exists():
                return self.inside(folder)
        raise ServerMissingError(f"no rabbitmq-server in {top}")


def rabbitmq4() -> Place:
    """The place of RabbitMQ 4. Raises ServerMissingError, which says what is missing."""
    root = os.environ.get(RABBITMQ4_ROOT)
    if not root:
        raise ServerMissingError(f"{RABBITMQ4_ROOT} names no folder with RabbitMQ 4 (tests/README.md says how)")
    if os.geteuid() != 0:
        raise ServerMissingError(f"only root may start what is in {root} ({RABBITMQ4_ROOT})")
    place = Place(Path(root).resolve())
    if "rabbitmq_server-4" not in str(place.rabbitmq_programs()):
        raise ServerMissingError(f"{RABBITMQ4_ROOT}={root} holds {place.rabbitmq_programs()}, not RabbitMQ 4")
    return place
