"""Checks: settings with which notices are not pushed live, and kinds of notices with wrong texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils import translation

from notifications.notices.kind import KINDS, WHO, Kind

IN_PROCESS = "channels.layers.InMemoryChannelLayer"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def check_layer(**kwargs: Any) -> list[CheckMessage]:
    """An in-process channel layer does not carry hints from a worker to the web server in another process."""
    layer = settings.CHANNEL_LAYERS["default"]["BACKEND"]
    if layer != IN_PROCESS or getattr(settings, "AIRY_BROKER", "embedded") == "embedded":
        return []
    return [
        Warning(
            "Workers cannot push to browsers: the channel layer works in one process only. Browsers will poll.",
            hint="Set REDIS_URL=redis://host:6379 for live push across processes.",
            id="notifications.W001",
        )
    ]


def check_kinds(**kwargs: Any) -> list[CheckMessage]:
    """In every language, a kind's texts need the placeholders that its data can fill, and the same ones."""
    return [error for kind in KINDS.values() for error in _text_errors(kind)]


def _text_errors(kind: Kind[Any, ...]) -> Iterator[Error]:
    """The errors of a kind's texts. A lazy text can be read only now, when the translations are there."""
    fillable = {"who"} if kind.fields >= WHO else set()
    fillable |= {"title"} & kind.fields
    for text in (kind.text, *([] if kind.text_on_comment is None else [kind.text_on_comment])):
        for language, _ in settings.LANGUAGES:
            with translation.override(language):
                form = str(text)
            used = set(PLACEHOLDER.findall(form))
            if not form.strip():
                yield Error(
                    f"The kind {kind.name!r} has no text in {language}.",
                    hint="Give text= in notifications/kinds.py, or translate it in airy/locale.",
                    id="notifications.E001",
                )
            elif unfillable := used - fillable:
                yield Error(
                    f"The text of the kind {kind.name!r} in {language} reads {sorted(unfillable)}: {form!r}",
                    hint=f"Its data can fill {sorted(fillable) or 'nothing'}. %(who)s needs names and count.",
                    id="notifications.E002",
                )
