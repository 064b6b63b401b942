"""WorkerThreads: threads that start when there is work and end when idle."""

from __future__ import annotations

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
    """Runs jobs in order of arrival on at most `limit` daemon threads.

    One worker at a time is being woken; once awake it wakes the next one if more jobs are ready. So short jobs stay on
    few threads. The worker that became idle last is woken first, so that the others reach their idle timeout.

    run: called with each job in a worker's thread.
    idle_timeout: seconds after which an idle worker ends; None keeps it.
    on_exit: called in each worker's thread when it ends.
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
        #: Idle workers, the longest idle first. Each waits to acquire its own lock: releasing that wakes it.
        self._idle: dict[threading.Lock, None] = {}
        self._threads: list[threading.Thread] = []
        #: Workers that have not decided to end.
        self._workers = 0
        #: Jobs that run inside another job, in its thread.
        self._inline = 0
        #: A worker has been woken or started, and does not run yet.
        self._waking = False
        self._stopping = False

    @property
    def alive(self) -> int:
        """Live threads, busy or idle."""
        return sum(thread.is_alive() for thread in list(self._threads))

    @property
    def capacity(self) -> int:
        """Jobs that can be under way at once: one for each allowed or still surplus worker, and those run inline."""
        return max(self._limit, self._workers) + self._inline

    def is_current_thread(self) -> bool:
        return threading.current_thread() in self._threads

    def put(self, job: Job) -> None:
        """Run a job as soon as a worker is free. Raises RuntimeError if there is no worker and none can be started."""
        with self._lock:
            self._ready.append(job)
            try:
                self._wake_next()
            except RuntimeError:
                self._ready.remove(job)
                raise

    def withdraw(self, job: Job) -> bool:
        """Take a job back; False if a worker has already taken it."""
        with self._lock:
            try:
                self._ready.remove(job)
            except ValueError:
                return False
            return True

    def interrupt(self, job: Job) -> None:
        """Do nothing: a thread cannot be stopped from outside. The job finds out at its next `check_cancelled()`."""

    def take_inline(self, job: Job) -> Callable[[], None] | None:
        """For a worker about to block until the job ends: how to run it in this thread; None if it has been taken."""
        if not self.is_current_thread():
            return None
        with self._lock:
            try:
                self._ready.remove(job)
            except ValueError:
                return None
            self._inline += 1
        return partial(self._run_inline, job)

    def prestart(self) -> None:
        """Start all threads now."""
        with self._lock:
            while self._workers < self._limit:
                self._add_worker()

    def resize(self, limit: int) -> None:
        """Change the number of threads; a surplus one ends after its job."""
        with self._lock:
            self._limit = limit
            for _ in range(min(self._workers - limit, len(self._idle))):
                self._idle.popitem()[0].release()
            self._wake_next()

    def stop(self) -> None:
        """End each thread once no job is ready. Jobs that are put later still run."""
        with self._lock:
            self._stopping = True
            while self._idle:
                self._idle.popitem()[0].release()

    def join(self, deadline: float | None) -> None:
        """Wait for the threads to end, at most until `deadline` (by time.monotonic); None for no limit."""
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def forget_after_fork(self) -> None:
        """In a forked child: drop all jobs, which are the parent's; the threads exist only there."""
        self._lock = threading.Lock()
        self._ready.clear()
        self._idle.clear()
        self._stopping = True

    # The life of a worker ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        wakeup = threading.Lock()
        wakeup.acquire()
        with self._lock:
            self._waking = False
        try:
            while (job := self._next_job(wakeup)) is not None:
                try:
                    self._run(job)
                except BaseException:  # a SystemExit of a callback must not end the thread
                    self._logger.exception("a callback in %s failed", self._name)
                del job
        finally:
            self._on_exit()

    def _run_inline(self, job: Job) -> None:
        try:
            self._run(job)
        finally:
            with self._lock:
                self._inline -= 1

    def _next_job(self, wakeup: threading.Lock) -> Job | None:
        """Wait for the next job; None if the worker must end.

        wakeup: the worker's own lock, acquired; another thread releases it to wake this one.
        """
        while True:
            with self._lock:
                surplus = self._workers > self._limit
                if self._ready and not surplus:
                    job = self._ready.popleft()
                    self._wake_next()
                    return job
                if self._stopping or surplus:
                    self._retire()
                    return None
                self._idle[wakeup] = None
            woken = wakeup.acquire(timeout=self._idle_timeout)
            with self._lock:
                if not woken:
                    if wakeup in self._idle:
                        del self._idle[wakeup]
                        self._retire()
                        return None
                    wakeup.acquire()  # woken between the timeout and here
                self._waking = False

    def _retire(self) -> None:
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
