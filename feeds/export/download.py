"""Download: send a file that has no name on disk, piece by piece."""

from __future__ import annotations

from typing import IO, Any
from wsgiref.util import FileWrapper

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from feeds.export.pieces import PIECE, ReadInThreads


class Download(ReadInThreads, StreamingHttpResponse):
    """A file for the client to keep."""

    def __init__(self, file: IO[bytes], *, name: str, content_type: str, **options: Any) -> None:
        super().__init__(FileWrapper(file, PIECE), content_type=content_type, **options)
        self["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
        self["Cache-Control"] = "private, no-store"
