"""What a pool refuses, and why."""


class PoolError(RuntimeError):
    """A task pool could not do what was asked; every error of the pool is one."""


class PoolClosedError(PoolError):
    """The pool is closed: the task was not accepted and never runs."""


class PoolOverloadedError(PoolError):
    """The pool is full and the caller may not wait: the task was not accepted and never runs."""


class PoolDeadlockError(PoolOverloadedError):
    """Waiting for a slot could never end, since every task that could free one waits itself."""


class SubmitTimeoutError(PoolError, TimeoutError):
    """No slot came free within `wait_timeout`: the task was not accepted and never runs."""


class TaskTimeoutError(PoolError, TimeoutError):
    """A task ran longer than its `timeout`."""
