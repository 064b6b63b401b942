"""Progress: a bar on the terminal while a command works."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from feeds.batch.progress import Advance


@contextmanager
def bar(label: str, *, total: int) -> Iterator[Advance]:
    """A bar that the yielded function moves on by so many; on stderr, so that a command's output can be piped."""
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.advance(task, done)
