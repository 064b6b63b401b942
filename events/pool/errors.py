"""The errors of a pool."""


class PoolError(RuntimeError):
    """A task pool refused a call or stopped a task. The base of all its errors."""


class PoolClosedError(PoolError):
    """The pool is closed: the task was not accepted and never runs."""


class PoolOverloadedError(PoolError):
    """The pool is full and the caller may not wait: the task was not accepted and never runs."""


class PoolDeadlockError(PoolOverloadedError):
    """The wait, for a slot or for another task, could never end."""


class SubmitTimeoutError(PoolError, TimeoutError):
    """No slot became free within `wait_timeout` seconds: the task was not accepted and never runs."""


class TaskTimeoutError(PoolError, TimeoutError):
    """A task ran longer than its `timeout` seconds."""
