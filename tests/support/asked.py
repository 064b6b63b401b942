"""Asked: every route with its methods, read from Django and the API, and what an answer means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver

from airy.api import api
from airy.probes import PROBES

Routes = dict[str, str]
#: The outcomes of asking.
YES, SIGN_IN, REFUSED, HIDDEN, ASKED = "yes", "sign in", "refused", "hidden", "asked again"


def pages() -> Routes:
    """Each page by "METHOD name", with its path. A view that takes any method is asked by GET and by POST."""
    found = {}
    for name, path in _walk(get_resolver()):
        if not path.startswith(("api/", "admin/")):
            found |= {f"{method} {name}": f"/{path}" for method in _methods(f"/{path}")}
    return found | {f"GET {path}": path for path in (*PROBES, "/api/docs", "/api/openapi.json")}


def operations() -> Routes:
    """Each operation of the API by "METHOD path", with its path after "/api"."""
    paths = api.get_openapi_schema()["paths"]
    return {
        f"{method.upper()} {path}": path.removeprefix("/api") for path, methods in paths.items() for method in methods
    }


def admin_pages() -> Routes:
    """Each page of the admin by its name."""
    return {name or path: f"/{path}" for name, path in _walk(get_resolver()) if path.startswith("admin/")}


def filled(path: str, rows: dict[str, object]) -> str:
    """The path with a value for each parameter. Raises KeyError for a parameter without one."""
    path = re.sub(r"\(\?P<(\w+)>[^)]*\)\$?", r"<\1>", path)
    path = path.replace("^", "").replace("$", "")
    return re.sub(r"[<{](?:\w+:)?(\w+)[>}]", lambda found: str(rows[found[1]]), path)


def outcome(answer: Any) -> str:
    """What an answer means: one of the outcomes, or its status."""
    status, location = answer.status_code, answer.headers.get("Location", "")
    if status == 401 or (status == 302 and re.match(r"(/admin)?/login/?(\?|$)", location)):
        return SIGN_IN
    return {403: REFUSED, 404: HIDDEN, 422: ASKED}.get(status, YES if status < 400 else str(status))


def undone(ask: Callable[..., Any], *of: Any) -> str:
    """The outcome of asking; what it wrote is taken back."""
    with transaction.atomic():
        said = outcome(ask(*of))
        transaction.set_rollback(True)
    return said


def _methods(path: str) -> list[str]:
    numbers = re.sub(r"<id:\w+>", "0", path)
    answer = Client().options(re.sub(r"<\w+:\w+>", "x", numbers))
    allowed = answer.headers.get("Allow", "GET, POST").split(", ")
    return [method for method in ("GET", "POST") if method in allowed]


def _walk(resolver: Any, prefix: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    for entry in resolver.url_patterns:
        path = f"{prefix}{entry.pattern}"
        if isinstance(entry, URLPattern):
            yield f"{space}{entry.name}" if entry.name else "", path
        else:
            yield from _walk(entry, path, f"{entry.namespace}:" if entry.namespace else space)
