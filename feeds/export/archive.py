"""Archive: write one person's data into a file, as JSON.

The archive is an object: `format`, `version`, `exported_at`, `account`, and a list for each section. The version rises
when a key changes its meaning or goes; keys may be added.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from typing import IO

from django.utils import timezone

from feeds.export.items import ArchivedAccount
from feeds.export.section import Section
from feeds.export.snapshot import snapshot
from feeds.models import User

FORMAT = "airy-archive"
VERSION = 1


def write_archive(user: User, sections: Iterable[Section]) -> IO[bytes]:
    """A file without a name, at its start, with all data of the user at one moment. It is gone when it is closed.

    A file, and not the connection of the client: a slow client would keep the moment, and so old rows, in the database.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with snapshot():
            account = ArchivedAccount.of(User.objects.get(pk=user.pk))
            head = {"format": FORMAT, "version": VERSION, "exported_at": timezone.now().isoformat()}
            file.write(json.dumps(head)[:-1].encode())
            file.write(b',\n"account": ' + account.model_dump_json().encode())
            for section in sections:
                file.write(f',\n"{section.name}": ['.encode())
                for number, item in enumerate(section.items(user)):
                    file.write((b",\n" if number else b"\n") + item.model_dump_json().encode())
                file.write(b"]")
            file.write(b"}\n")
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
