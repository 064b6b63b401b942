"""The doctor: looks at an installation once, and says what is wrong with it and what to do.

Promise: it changes nothing, and it ends, whatever does not answer.
Runs in: `manage.py doctor`. Writes: nothing.

An app adds examinations of its own in its module `doctor`:

    @examination("Mail")
    def mail() -> Iterator[Finding]: ...
"""

from .diagnose import Diagnosis, diagnose
from .examination import examination

__all__ = ["Diagnosis", "diagnose", "examination"]
