"""Graph: a file of edges, each "A follows B"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.progress import Progress

from feeds.stackexchange.dump import BadDumpError

#: The words of a line: two nodes, unless the line is wrong (`is_edge`).
Edge = tuple[str, ...]


class Graph:
    """A text file with one edge per line: "A B", A follows B. Lines that begin with # are comments."""

    def __init__(self, path: Path, *, progress: Progress) -> None:
        self._path = path
        self._progress = progress
        if not path.is_file():
            raise BadDumpError(
                f"{path} is not a file. --graph takes a text file with two nodes per line, A and B: A follows B"
            )

    def edges(self, *, label: str) -> Iterator[Edge]:
        """The words of each line in the order of the file; a line may not be an edge."""
        try:
            with self._progress.open(self._path, "r", encoding="utf-8-sig", description=label) as file:
                for line in file:
                    if line.strip() and not line.startswith("#"):
                        yield tuple(line.replace(",", " ").split())
        except UnicodeDecodeError as error:
            raise BadDumpError(f"{self._path} is not UTF-8: {error}") from error

    def in_degrees(self, *, label: str) -> Counter[str]:
        """The number of followers of each node, 0 for a node without any."""
        degrees: Counter[str] = Counter()
        for edge in self.edges(label=label):
            if is_edge(edge):
                degrees[edge[0]] += 0
                degrees[edge[1]] += 1
        return degrees


def is_edge(edge: Edge) -> bool:
    """Whether the line has two nodes."""
    return len(edge) == 2
