"""Static files: served by whitenoise from the apps' folders, by plain and by hashed names, compressed."""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from django.conf import settings
from django.http import HttpRequest
from whitenoise.compress import Compressor
from whitenoise.middleware import WhiteNoiseFileResponse, WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from airy.static_names import content_hash, hashed_name
from feeds.export.pieces import PIECE, ReadInThreads

#: A smaller file, in bytes, is not compressed.
SMALLEST = 1_000
FORMATS = Compressor()
#: The files that were found, by the prefix of their addresses and the folder of the compressed ones.
_found: dict[tuple[str, Path], dict[str, StaticFile]] = {}


class FileAnswer(ReadInThreads, WhiteNoiseFileResponse):  # type: ignore[misc]
    """A static file, or an answer without one (304, HEAD)."""

    block_size = PIECE


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Middleware: a hashed name never changes its content and is kept for a year, a plain one for a minute.

    STATIC_ROOT is not read: what was collected there some versions ago must not be served.
    """

    FOREVER = 365 * 24 * 60 * 60

    files: dict[str, StaticFile]

    def add_files(self, root: str, prefix: str | None = None) -> None:
        """Nothing: the files of the apps are added by `add_files_from_finders`."""

    def add_files_from_finders(self) -> None:
        """Find the files once per process: each handler of requests makes a middleware, and tests make many."""
        where = self.static_prefix, settings.VAR_DIR
        if where not in _found:
            super().add_files_from_finders()
            _found[where] = self.files
        self.files = _found[where]

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> FileAnswer:
        """The answer to a request for a file."""
        found = static_file.get_response(request.method, request.META)
        answer = FileAnswer(found.file or (), status=int(found.status))
        del answer["Content-Type"]  # Django's own
        for name, value in found.headers:
            answer[name] = value
        return answer

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        super().add_file_to_dictionary(url, path, stat_cache=stat_cache)
        hashed = self.static_prefix + hashed_name(url.removeprefix(self.static_prefix), path)
        super().add_file_to_dictionary(hashed, path, stat_cache=stat_cache)

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> StaticFile:
        """What is served at a URL, with its compressed form if that is smaller."""
        if self.autorefresh:
            return super().get_static_file(path, url, stat_cache=stat_cache)
        headers = Headers([])
        self.add_mime_headers(headers, path, url)
        self.add_cache_headers(headers, path, url)
        smaller = compressed_file(path)
        return StaticFile(path, headers.items(), encodings={"gzip": str(smaller)} if smaller else {})


def compressed_file(path: str) -> Path | None:
    """The compressed form of a file, None if there is none that is smaller by a tenth.

    It is kept in var/compressed by the hash of the content, so that a process that starts finds it there. If nothing
    can be written there, files are served as they are.
    """
    if not FORMATS.should_compress(path) or os.path.getsize(path) < SMALLEST:
        return None
    kept = settings.VAR_DIR / "compressed" / f"{content_hash(path)}.gz"
    try:
        if not kept.exists():
            _write(kept, gzip.compress(Path(path).read_bytes(), 9, mtime=0))
        return kept if kept.stat().st_size < 0.9 * os.path.getsize(path) else None
    except OSError:
        return None


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: other processes may start at this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
