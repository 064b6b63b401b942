"""Session names: what PostgreSQL's pg_stat_activity calls the sessions of a process."""

from __future__ import annotations

import os

#: libpq names by it each session whose settings name none.
VARIABLE = "PGAPPNAME"
#: What the names that we give begin with. Another one in the environment is the operator's.
OURS = "airy "
#: Characters that PostgreSQL keeps.
LONGEST = 63


def name_sessions(role: str) -> None:
    """Name the sessions that this process opens from now on "airy <role>", for example "worker 4711".

    A name from elsewhere stays: PGAPPNAME of the environment, `application_name` in the database's OPTIONS or URL. Call
    it as the process starts, before it has threads: it changes the environment, which child processes get as well.
    """
    if os.environ.get(VARIABLE, OURS).startswith(OURS):
        os.environ[VARIABLE] = f"{OURS}{role}"[:LONGEST]
