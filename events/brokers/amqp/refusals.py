"""Refusals: what an error of RabbitMQ means, in a sentence that names the setting or the command that cures it.

The one place for it: topology, consumers and the relay say the same words.
"""

from __future__ import annotations

import re

import pika
from pika.exceptions import ChannelClosedByBroker

from ..contract import ClaimError

ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED = 403, 404, 406

#: What pika's description of an error contains → the sentence. The first that fits is taken.
_SENTENCES = (
    (
        r"user connection limit \((\d+)\)",
        "user {user} has its limit of {0} connections: a worker process takes one, and so does a relay. Run fewer "
        "processes, or raise it: rabbitmqctl set_user_limits {user} '{{\"max-connections\": …}}'",
    ),
    (
        r"node connection limit \((\d+)\)",
        "the server has its limit of {0} connections: a worker process takes one, and so does a relay. Run fewer "
        "processes, or raise connection_max in rabbitmq.conf",
    ),
    (
        r"connection limit \((\d+)\)",
        "the vhost {vhost} has its limit of {0} connections: a worker process takes one, and so does a relay. Run "
        "fewer processes, or raise it: rabbitmqctl set_vhost_limits -p {vhost} '{{\"max-connections\": …}}'",
    ),
    (
        r"channel limit|NoFreeChannels|number of channels",
        "no more channels may be opened: a worker process takes one for each subscriber and three more. Raise "
        "channel_max in rabbitmq.conf, or rabbitmqctl set_user_limits {user} '{{\"max-channels\": …}}'",
    ),
    (
        r"vhost .* not found",
        "there is no vhost {vhost}. Set MQ_VHOST (or MQ_URL), or make it: rabbitmqctl add_vhost {vhost}",
    ),
    (r"vhost .* is down", "the vhost {vhost} is down. Start it: rabbitmqctl restart_vhost -p {vhost}"),
    (
        r"access to vhost .* refused",
        "user {user} may not use the vhost {vhost}. Set MQ_USER and MQ_VHOST (or MQ_URL), or allow it: rabbitmqctl "
        "set_permissions -p {vhost} {user} '.*' '.*' '.*'",
    ),
    (
        r"Login was refused|ProbableAuthenticationError",
        "the server refuses the login of user {user}. Set MQ_USER and MQ_PASSWORD (or MQ_URL); the server lets "
        "guest in from its own host only",
    ),
    (
        r"access to (queue|exchange|topic) '([^']*)' (?:in exchange '[^']*' )?in vhost '[^']*' refused",
        "user {user} has not the right to use the {0} {1} like this. Give it the rights to configure, write and read: "
        "rabbitmqctl set_permissions -p {vhost} {user} '.*' '.*' '.*'; or only those to write and read, and let an "
        "administrator run `manage.py topology declare`",
    ),
    (
        r"no (queue|exchange) '([^']*)' in vhost",
        "the {0} {1} is not there. Make it: manage.py topology declare",
    ),
    (
        r"certificate verify failed: (?:Hostname|IP address) mismatch",
        "its certificate is for another name than {host}. Set MQ_URL to the name in the certificate",
    ),
    (
        r"certificate verify failed",
        "its certificate is not trusted here. Set MQ_CA_FILE to the certificate of the authority that signed it",
    ),
    (
        r"WRONG_VERSION_NUMBER|wrong version number",
        "what answers there does not speak TLS. Set MQ_URL to RabbitMQ's TLS port (5671 by default), or to amqp://",
    ),
    (
        r"gaierror",
        "the name {host} is not known here. Set MQ_HOST (or MQ_URL)",
    ),
    (
        r"ConnectionRefusedError",
        "nothing listens there. Start RabbitMQ, or set MQ_HOST and MQ_PORT (or MQ_URL)",
    ),
    (
        r"IncompatibleProtocolError|AMQPConnectorStackTimeout|Timeout while setting up AMQP|Timeout during AMQP",
        "what answers there does not speak AMQP without TLS. Set MQ_PORT (or MQ_URL) to RabbitMQ's plain AMQP port "
        "(5672 by default; 5671 is for TLS, 15672 for its pages)",
    ),
    (
        r"TimeoutError|timed out|ConnectTimeout",
        "no answer in time. Is RabbitMQ, or a firewall before it, at MQ_HOST and MQ_PORT (or in MQ_URL)?",
    ),
)


def where(parameters: pika.ConnectionParameters) -> str:
    """The server and the vhost, for people."""
    return f"RabbitMQ at {parameters.host}:{parameters.port}, vhost {parameters.virtual_host}"


def in_words(error: BaseException | str, parameters: pika.ConnectionParameters) -> str:
    """A sentence about an error: where, what was refused, and the cure. An error that already is a sentence of ours
    (MismatchError, MissingError, ClaimError) stays as it is."""
    if isinstance(error, (ToldError, ClaimError)):
        return str(error)
    text = error if isinstance(error, str) else repr(error)
    names = {
        "host": parameters.host,
        "user": getattr(parameters.credentials, "username", ""),
        "vhost": parameters.virtual_host,
    }
    for pattern, sentence in _SENTENCES:
        if found := re.search(pattern, text):
            return f"{where(parameters)}: {sentence.format(*found.groups(), **names)} ({_plain(text)})"
    return f"{where(parameters)}: {_plain(text)}"


def _plain(text: str) -> str:
    """The server's own words, without what pika guesses about them."""
    if found := re.search(r"ConnectionClosedByBroker: (\(\d+\)) (?:\\?['\"])+(.*?)(?:\\?['\"])+,?\)?$", text):
        return f"{found[1]} {found[2]}".replace("\\", "")
    return text


def code_of(error: BaseException) -> int:
    """The reply code with which the broker closed a channel; 0 for another error."""
    return int(error.reply_code) if isinstance(error, ChannelClosedByBroker) else 0


class ToldError(ConnectionError):
    """An error whose text already says what to do."""


class MismatchError(ToldError):
    """Something exists at the server with other properties than this code needs; the message says what to do."""


class MissingError(ToldError):
    """Something is not at the server, and this user may not make it; the message says who can."""
