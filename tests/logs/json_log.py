"""json_log: what a block logs, as the lines of JSON that Airy writes outside of DEBUG."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airy.logs.lines import JsonLines


@contextmanager
def json_log(name: str | None = None) -> Iterator[list[dict[str, Any]]]:
    """The parsed lines, once the block is left; each must be one JSON object.

    name: of one logger, of which nobody else hears meanwhile, pytest neither.
    """
    lines: list[dict[str, Any]] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(name)
    before, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = name is None
    try:
        yield lines
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        logger.propagate = propagates
        lines.extend(map(json.loads, stream.getvalue().splitlines()))
