"""Environment: reads and checks the variables that the settings are made of, also from `.env` beside `manage.py`."""

import os
import re
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from environ import FileAwareEnv

from events.tracing import provider_that_is_set

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
env = FileAwareEnv()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")


def read(
    name: str,
    cast: type,
    default: Any,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    choices: tuple[str, ...] = (),
    schemes: tuple[str, ...] = (),
) -> Any:
    """The checked value of an environment variable, or of the file that NAME_FILE names.

    Raises ImproperlyConfigured with the variable's name and the values that it takes.
    """
    try:
        value = env.get_value(name, cast=cast, default=default)
    except (ValueError, TypeError) as error:
        kind = "a whole number" if cast is int else cast.__name__
        raise ImproperlyConfigured(f"{name} must be {kind}, for example {name}={default} ({error})") from None
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE is a file that cannot be read: {error}") from None
    if minimum is not None and value < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, for example {name}={default}; it is {value}")
    if maximum is not None and value > maximum:
        raise ImproperlyConfigured(f"{name} must be at most {maximum}, for example {name}={default}; it is {value}")
    if schemes and value and not (urlparse(value).scheme in schemes and urlparse(value).hostname):
        raise ImproperlyConfigured(f"{name} must be a URL such as {schemes[0]}://host:port; it is {value!r}")
    if choices and value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}; it is {value!r}")
    return value


class BrokerAddress(NamedTuple):
    """Where RabbitMQ is, and how one gets in."""

    host: str
    port: int
    user: str
    password: str
    vhost: str
    tls: bool


def read_broker() -> BrokerAddress:
    """The address in MQ_URL, or in MQ_HOST and its like; without a host if neither is set. Raises
    ImproperlyConfigured."""
    url, host = str(read("MQ_URL", str, "")), str(read("MQ_HOST", str, ""))
    if not url:
        return BrokerAddress(
            host=host,
            port=read("MQ_PORT", int, 5672, minimum=1, maximum=65535),
            user=read("MQ_USER", str, "guest"),
            password=read("MQ_PASSWORD", str, "guest"),
            vhost=read("MQ_VHOST", str, "/"),
            tls=False,
        )
    if host:
        raise ImproperlyConfigured("MQ_URL and MQ_HOST both say where RabbitMQ is: set one of them")
    parts = urlparse(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in {"amqp", "amqps"} or not parts.hostname or port == 0 or "/" in parts.path[1:] or parts.query:
        raise ImproperlyConfigured(  # the value is not shown, since it has a password
            "MQ_URL must be amqp://user:password@host:5672/vhost, or amqps://… for TLS; in user, password and vhost"
            " write %40 for @, %2F for /, and so on"
        )
    return BrokerAddress(
        host=parts.hostname,
        port=port or (5671 if parts.scheme == "amqps" else 5672),
        user=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        vhost=unquote(parts.path[1:]) or "/",
        tls=parts.scheme == "amqps",
    )


def read_file(name: str) -> str:
    """The path of a file that can be read, or nothing. Raises ImproperlyConfigured."""
    path = str(read(name, str, ""))
    if path and not os.access(path, os.R_OK):
        raise ImproperlyConfigured(f"{name} must be the path of a file that can be read; it is {path!r}")
    return path


def read_flag(name: str, default: bool) -> bool:
    """The value of an on/off variable (on/off, true/false, yes/no, 1/0). Raises ImproperlyConfigured for any other."""
    value = str(env.get_value(name, default="on" if default else "off")).strip().lower()
    if value in {"on", "true", "yes", "1"}:
        return True
    if value in {"off", "false", "no", "0"}:
        return False
    raise ImproperlyConfigured(f"{name} must be on or off; it is {value!r}")


def read_rates(name: str, default: str) -> tuple[tuple[int, int], ...]:
    """Rates such as "10/60,100/3600": pairs (most, seconds). Raises ImproperlyConfigured with the form."""
    value = str(read(name, str, default))
    pairs = [part.split("/") for part in value.split(",")]
    if not all(
        len(pair) == 2 and all(re.fullmatch("[1-9][0-9]{0,8}", part.strip()) for part in pair) for pair in pairs
    ):
        raise ImproperlyConfigured(
            f"{name} must be most/seconds, or several with commas between, for example {name}={default};"
            f" it is {value!r}. RATE_LIMITS=off turns all limits off"
        )
    rates = tuple((int(most), int(seconds)) for most, seconds in pairs)
    if len({seconds for _most, seconds in rates}) < len(rates):
        raise ImproperlyConfigured(f"{name} must give each number of seconds once; it is {value!r}")
    return rates


def read_proxies() -> tuple[IPv4Network | IPv6Network | str, ...]:
    """TRUSTED_PROXIES: addresses, networks, and the word unix for a Unix socket. Raises ImproperlyConfigured."""
    proxies: list[IPv4Network | IPv6Network | str] = []
    for part in filter(None, (part.strip() for part in str(read("TRUSTED_PROXIES", str, "")).split(","))):
        try:
            proxies.append(part if part == "unix" else ip_network(part))
        except ValueError as error:
            raise ImproperlyConfigured(
                "TRUSTED_PROXIES must be addresses or networks with commas between, for example"
                f" TRUSTED_PROXIES=127.0.0.1,10.0.0.0/8 (and unix for a Unix socket): {error}"
            ) from None
    return tuple(proxies)


def read_tracing() -> bool:
    """Whether this code sends traces, which OpenTelemetry's own variables say (OTEL_…). False if something else has set
    its SDK up, as `opentelemetry-instrument` does.

    Raises ImproperlyConfigured for a value that this code does not serve, and if the packages are not installed.
    """
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    given = [read(name, str, "", schemes=("http", "https")) for name in endpoints]
    exporter = read("OTEL_TRACES_EXPORTER", str, "otlp" if any(given) else "none", choices=("otlp", "none"))
    if exporter == "none" or read_flag("OTEL_SDK_DISABLED", False) or provider_that_is_set():
        return False
    for name in ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"):
        read(name, str, "http/protobuf", choices=("http/protobuf",))
    try:
        missing = [name for name in ("sdk.trace", "exporter.otlp.proto.http") if not find_spec(f"opentelemetry.{name}")]
    except ModuleNotFoundError as error:
        missing = [str(error.name)]
    if missing:
        raise ImproperlyConfigured(
            "traces are asked for (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER), but OpenTelemetry's packages"
            " are not installed: pip install -r requirements-tracing.txt, or unset the variable"
        )
    for name in (*endpoints, "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        if value := read(name, str, ""):
            os.environ[name] = value  # where the exporter looks for it; it may have come from a file
    return True


#: A key with fewer characters, or fewer different ones, can be guessed; so can one that a project's template had.
#: Django warns of such a key only in `check --deploy`.
KEY_LENGTH, KEY_CHARACTERS, KEY_OF_TEMPLATE = 50, 5, "django-insecure-"
NEW_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(60))'"


def read_keys(name: str, *, debug: bool) -> list[str]:
    """Keys with commas between, spaces around them left out. Raises ImproperlyConfigured for a weak one."""
    keys = (key.strip() for key in str(read(name, str, "")).split(","))
    return [_strong(key, name, debug) for key in keys if key]


def read_key(name: str, *, debug: bool) -> str:
    """The key of an installation; under DEBUG, if it is not set, one that is generated once and kept in var/.

    Raises ImproperlyConfigured for a weak one.
    """
    if key := read(name, str, ""):
        return _strong(str(key), name, debug)
    if not debug:
        raise ImproperlyConfigured(
            f"{name} is not set: export {name}=… (or {name}_FILE, or DEBUG=on for development). Make one: {NEW_KEY}"
        )
    path = VAR_DIR / "secret_key"
    if not path.exists():
        VAR_DIR.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(get_random_secret_key())
    return path.read_text()


def _strong(key: str, name: str, debug: bool) -> str:
    weak = len(key) < KEY_LENGTH or len(set(key)) < KEY_CHARACTERS or key.startswith(KEY_OF_TEMPLATE)
    if weak and not debug:
        raise ImproperlyConfigured(
            f"{name} is weak: it must have at least {KEY_LENGTH} characters, {KEY_CHARACTERS} different ones, and not"
            f" begin with {KEY_OF_TEMPLATE!r}. Make one: {NEW_KEY} (or set DEBUG=on for development)"
        )
    return key
