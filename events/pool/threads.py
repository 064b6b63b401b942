"""WorkerThreads: threads that come with the work and go when idle."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Generic, TypeVar

Job = TypeVar("Job")


class WorkerThreads(Generic[Job]):
    """Runs jobs in the order they come on at most `limit` daemon threads.

    A worker that wakes up wakes the next if there is more to do, and at most one is waking at a time, so short jobs
    stay on few threads. The last to fall idle is the first to be woken, so that the others can expire.
    """

    def __init__(
        self,
        run: Callable[[Job], None],
        *,
        limit: int,
        idle_timeout: float | None,
        name: str,
        logger: logging.Logger,
        on_exit: Callable[[], None],
    ) -> None:
        self._run = run
        self._limit = limit
        self._idle_timeout = -1 if idle_timeout is None else min(idle_timeout, threading.TIMEOUT_MAX)
        self._name = name
        self._logger = logger
        self._on_exit = on_exit
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._ready: deque[Job] = deque()
        self._idle: dict[threading.Lock, None] = {}
        self._threads: list[threading.Thread] = []
        self._workers = 0
        self._helping = 0
        self._waking = False
        self._stopping = False

    @property
    def alive(self) -> int:
        """Threads that exist, busy or idle."""
        return sum(thread.is_alive() for thread in list(self._threads))

    @property
    def capacity(self) -> int:
        """How many jobs can be under way: on threads there may be, or still are after a `resize`, and by helping."""
        return max(self._limit, self._workers) + self._helping

    def is_current_thread(self) -> bool:
        return threading.current_thread() in self._threads

    def put(self, job: Job) -> None:
        """Have a job run. Raises RuntimeError if the system gives no thread and none is there."""
        with self._lock:
            self._ready.append(job)
            try:
                self._wake_next()
            except RuntimeError:
                self._ready.remove(job)
                raise

    def withdraw(self, job: Job) -> bool:
        """Take back a job that no worker has taken up; False if one has."""
        with self._lock:
            try:
                self._ready.remove(job)
            except ValueError:
                return False
            return True

    def interrupt(self, job: Job) -> None:
        """Nothing stops a thread from outside; the job sees it at its next check."""

    def take_over(self, job: Job) -> Callable[[], None] | None:
        """For a worker that is about to wait for a job: how to run it there, if no other has taken it up."""
        if not self.is_current_thread():
            return None
        with self._lock:
            try:
                self._ready.remove(job)
            except ValueError:
                return None
            self._helping += 1
        return partial(self._run_here, job)

    def prestart(self) -> None:
        """Start all threads now."""
        with self._lock:
            while self._workers < self._limit:
                self._add_worker()

    def resize(self, limit: int) -> None:
        """Allow more threads or fewer; a surplus one goes after its job."""
        with self._lock:
            self._limit = limit
            for _ in range(min(self._workers - limit, len(self._idle))):
                self._idle.popitem()[0].release()
            self._wake_next()

    def stop(self) -> None:
        """Let the threads go as soon as nothing is left to do. Work that still comes is done, too."""
        with self._lock:
            self._stopping = True
            while self._idle:
                self._idle.popitem()[0].release()

    def join(self, deadline: float | None) -> None:
        """Wait for the threads to end, but no longer than `deadline` (by time.monotonic)."""
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def disown(self) -> None:
        """After a fork, in the child: the threads are gone, and their jobs are the parent's."""
        self._lock = threading.Lock()
        self._ready.clear()
        self._idle.clear()
        self._stopping = True

    # The life of a worker ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        with self._lock:
            self._waking = False
        try:
            while (job := self._next_job(gate)) is not None:
                try:
                    self._run(job)
                except BaseException:  # a callback's SystemExit must not cost the pool a thread
                    self._logger.exception("a callback in %s failed", self._name)
                del job
        finally:
            self._on_exit()

    def _run_here(self, job: Job) -> None:
        try:
            self._run(job)
        finally:
            with self._lock:
                self._helping -= 1

    def _next_job(self, gate: threading.Lock) -> Job | None:
        """The next job, waited for; None if the worker is to go."""
        while True:
            with self._lock:
                surplus = self._workers > self._limit
                if self._ready and not surplus:
                    job = self._ready.popleft()
                    self._wake_next()
                    return job
                if self._stopping or surplus:
                    self._leave()
                    return None
                self._idle[gate] = None
            woken = gate.acquire(timeout=self._idle_timeout)
            with self._lock:
                if not woken:
                    if gate in self._idle:
                        del self._idle[gate]
                        self._leave()
                        return None
                    gate.acquire()
                self._waking = False

    def _leave(self) -> None:
        self._workers -= 1
        self._wake_next()

    def _wake_next(self) -> None:
        if self._waking or not self._ready:
            return
        if self._idle:
            self._waking = True
            self._idle.popitem()[0].release()
        elif self._workers < self._limit:
            self._add_worker()

    def _add_worker(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-{next(self._numbers)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if self._workers:
                return
            raise
        self._threads = [thread, *(other for other in self._threads if other.is_alive())]
        self._workers += 1
        self._waking = True
