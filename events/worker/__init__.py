"""What one worker process starts, and how it ends.

Promise: whatever ends a process, its work is finished, given back or delivered again by the next one.
Runs in: every `rundramatiq` worker, `manage.py relay`, `manage.py up`. Writes: the table of processes.
"""

from .in_process import running_worker

__all__ = ["running_worker"]
