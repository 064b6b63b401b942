"""Static names: each static file has a name with a hash of its content, so browsers keep it for a year."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage


class HashedNames(StaticFilesStorage):
    """Addresses with hashed names, made of the files of the apps themselves: nothing need be collected before.

    Under DEBUG a file has its plain name, so that a change shows at once.
    """

    def url(self, name: str | None) -> str:
        path = None if settings.DEBUG or not name else finders.find(name)
        return super().url(hashed_name(name, path) if name and isinstance(path, str) else name)

    def post_process(
        self, paths: Mapping[str, tuple[Any, str]], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str, bool]]:
        """For `collectstatic`: a copy of each file by its hashed name, for a server or a CDN that serves the folder."""
        for name, (storage, path) in {} if dry_run else paths.items():
            with storage.open(path) as file:
                copy = hashed_name(name, storage.path(path))
                self.delete(copy)
                yield name, self.save(copy, file), True


def hashed_name(name: str, path: str) -> str:
    """The name with a hash of the content of the file at `path`: "airy.css" is "airy.1a2b3c4d5e6f.css"."""
    stem, suffix = posixpath.splitext(name)
    return f"{stem}.{content_hash(path)[:12]}{suffix}"


@cache
def content_hash(path: str) -> str:
    """A hash of a file's content, computed once per process. It tells versions apart and protects nothing."""
    return md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()
