"""Routes: the address of every page and of every GET of the API, filled with the numbers and names of real rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from django.urls import URLPattern, get_resolver

from airy.api import api


def routes(of: str, rows: Mapping[str, object], resolver: object = None, prefix: str = "") -> Iterator[str]:
    """The addresses of an app's pages. rows: a value for each parameter of a path. Raises KeyError for another."""
    for entry in (resolver or get_resolver()).url_patterns:  # type: ignore[attr-defined]
        path = f"{prefix}{entry.pattern}"
        if isinstance(entry, URLPattern):
            if entry.callback.__module__.startswith(of):
                yield "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(rows[found[1]]), path)
        else:
            yield from routes(of, rows, entry, path)


def api_routes(rows: Mapping[str, object], method: str = "get") -> Iterator[str]:
    """The addresses of the API that take a method, after "/api"."""
    for path, operations in api.get_openapi_schema()["paths"].items():
        if method in operations:
            yield re.sub(r"{(\w+)}", lambda found: str(rows[found[1]]), path).removeprefix("/api")
