"""Pieces: send a file piece by piece, to WSGI and ASGI servers alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from django.http import StreamingHttpResponse

#: Bytes in a piece.
PIECE = 64 * 1024

if TYPE_CHECKING:
    Response = StreamingHttpResponse
else:
    Response = object


class ReadInThreads(Response):
    """Of a response whose content is read from a file. Under ASGI Django would read a plain iterator into memory first;
    this one is read in threads, piece by piece, as the client takes it.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
