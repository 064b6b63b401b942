"""Compression: pages and answers of the API by gzip. Static files are compressed once (`airy.static_files`)."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Callable
from io import BytesIO

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.regex_helper import _lazy_re_compile

#: A shorter answer fits into one packet anyway.
SMALLEST = 1_000
#: gzip's levels go from 1 to 9. A page of 500 comments, 297 KB, is 24 KB at 4, for a seventieth of the time that making
#: it takes. At 6 it is 22 KB, for twice as much.
LEVEL = 4
#: At most this many random bytes are added. They hide how well a secret in a page, the CSRF token, is compressed
#: together with what an attacker puts into the same page ("Heal the Breach").
PADDING = 100

ACCEPTS_GZIP = _lazy_re_compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")


class Compression:
    """Middleware: compresses what GET and HEAD answer. An answer to POST may show a new secret, and stays as it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.streaming or len(response.content) < SMALLEST or response.has_header("Content-Encoding"):
            return response
        if request.method not in ("GET", "HEAD"):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if ACCEPTS_GZIP.search(request.headers.get("Accept-Encoding", "")):
            response.content = compressed(response.content)
            response.headers["Content-Length"] = str(len(response.content))
            response.headers["Content-Encoding"] = "gzip"
        return response


def compressed(content: bytes) -> bytes:
    """The content by gzip, of a random length: the name of the file in its head is up to PADDING bytes long."""
    name = "a" * secrets.randbelow(PADDING + 1)
    written = BytesIO()
    with gzip.GzipFile(filename=name, mode="wb", compresslevel=LEVEL, fileobj=written, mtime=0) as file:
        file.write(content)
    return written.getvalue()
