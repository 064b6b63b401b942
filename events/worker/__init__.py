"""The processes of web, workers and relay: what each starts, who starts it again, and how it ends.

Promise: however a process ends, its messages are finished, given back, or delivered again by the next process.
Runs in: every process of `rundramatiq`, `manage.py relay` and `manage.py up`; of web processes the heartbeat alone.
Writes: Process (the heartbeats), FoldedCounts (what processes that ended have counted).
"""

from .in_process import running_heartbeat, running_worker

__all__ = ["running_heartbeat", "running_worker"]
