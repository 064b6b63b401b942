"""Examine: what an operator should know of a RabbitMQ server, asked on a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...finding import Finding, Severity
from ...passwords import why_weak
from .calls import Calls, opened
from .connection import CONNECTION_ERRORS
from .refusals import in_words, where

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

#: The first major version that its makers still mend.
SUPPORTED = 4
#: What a publisher is told → what to do.
CURES = {
    "disk": "Free disk space on the server: below disk_free_limit it takes no messages. Then nothing else is to do.",
    "memory": "Look for queues that nobody consumes (`manage.py topology`), or give the server more memory: above "
    "vm_memory_high_watermark it takes no messages.",
}


def examine(broker: RabbitmqBroker) -> Iterator[Finding]:
    """Does it answer, does it take messages, is it of today, and is its password anybody's?"""
    parameters = broker.parameters_for("doctor")
    yield from _password(parameters)
    try:
        connection = opened(parameters)
    except CONNECTION_ERRORS as error:
        yield Finding(
            problem=f"The broker does not answer: {in_words(error, parameters)}.",
            cure="Do what this says. Until then events wait in the outbox, and none is lost.",
        )
        return
    blocked: list[str] = []
    try:
        connection.add_on_connection_blocked_callback(lambda _, frame: blocked.append(str(frame.method.reason)))
        calls = Calls(connection)
        yield from _version(str(calls.server_properties.get("version", "")))
        _publish_to_nobody(calls, blocked)
    finally:
        connection.end()
    for reason in blocked:
        cure = next((cure for word, cure in CURES.items() if word in reason.lower()), "See the log of the server.")
        yield Finding(problem=f"RabbitMQ takes no messages: {reason}.", cure=cure)


def _password(parameters: Any) -> Iterator[Finding]:
    user, password = parameters.credentials.username, parameters.credentials.password
    if why := why_weak(password, user=user):
        yield Finding(
            problem=f"The password of {user} at {where(parameters)} {why}.",
            cure=f"Set another one (rabbitmqctl change_password {user}), then MQ_PASSWORD or MQ_URL.",
            severity=Severity.WARNING,
        )


def _version(version: str) -> Iterator[Finding]:
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) < SUPPORTED:
        yield Finding(
            problem=f"RabbitMQ is of version {version}, which gets no corrections any more.",
            cure="Start a fresh server of version 4 in its place: docs/operations.md, To RabbitMQ 4.",
            severity=Severity.WARNING,
        )


def _publish_to_nobody(calls: Calls, blocked: list[str]) -> None:
    """Publish a message that no queue is for, and wait for the answer to the next call. A server in need tells only who
    publishes, and answers nothing then."""
    channel = calls.channel()
    channel.raw.basic_publish("", "airy.doctor.nobody", b"")
    answered: list[Any] = []
    channel.raw.basic_qos(prefetch_count=1, callback=answered.append)
    calls.wait(lambda: bool(answered or blocked), what="basic_qos", failed=lambda: None)
