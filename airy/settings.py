"""Settings: read once from the environment. A malformed value stops the start; the error names it and the cure."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from airy.environment import (
    BASE_DIR,
    VAR_DIR,
    env,
    read,
    read_broker,
    read_file,
    read_flag,
    read_key,
    read_keys,
    read_proxies,
    read_rates,
    read_tracing,
)
from airy.logs.records import configure_structlog
from airy.logs.set_up import logging_settings
from events.keep import PARTITION, as_keep_time, as_keep_times

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# Fixed names of the environment -------------------------------------------------------------------------------------

DEBUG = read_flag("DEBUG", False)
DATABASE_URL = read("DATABASE_URL", str, f"sqlite:///{VAR_DIR / 'airy.sqlite3'}")
#: Past a pooler of transactions (PgBouncer) that DATABASE_URL names: for the relay's own session.
DATABASE_DIRECT_URL = read("DATABASE_DIRECT_URL", str, "", schemes=("postgres", "postgresql"))
MQ_HOST, MQ_PORT, MQ_USER, MQ_PASSWORD, MQ_VHOST, MQ_TLS = read_broker()
AIRY_BROKER = read("AIRY_BROKER", str, "rabbitmq" if MQ_HOST else "embedded", choices=("embedded", "rabbitmq"))
MQ_HOST = MQ_HOST or "localhost"
MQ_CA_FILE = read_file("MQ_CA_FILE")
MQ_EXCHANGE = read("MQ_EXCHANGE", str, "airy.events")
MQ_QUEUE_PREFIX = read("MQ_QUEUE_PREFIX", str, "airy.")
MQ_QUEUE_TYPE = read("MQ_QUEUE_TYPE", str, "classic", choices=("classic", "quorum"))
MQ_API_URL = read("MQ_API_URL", str, "", schemes=("http", "https"))
REDIS_URL = read("REDIS_URL", str, "", schemes=("redis", "rediss"))
REDIS_PREFIX = read("REDIS_PREFIX", str, "airy")
GOROUTINE_POOL_SIZE = read("GOROUTINE_POOL_SIZE", int, 10_000, minimum=1)
FANOUT_THRESHOLD = read("FANOUT_THRESHOLD", int, 20_000, minimum=0)
LOG_LEVEL = str(read("LOG_LEVEL", str, "INFO")).upper()
if LOG_LEVEL not in LEVELS:
    raise ImproperlyConfigured(f"LOG_LEVEL must be one of {', '.join(LEVELS)}; it is {LOG_LEVEL!r}")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL = str(read("SITE_URL", str, "", schemes=("https", "http"))).rstrip("/")
if urlparse(SITE_URL)[2:] != ("", "", "", ""):
    raise ImproperlyConfigured(
        f"SITE_URL must be a scheme and a host, such as https://airy.example; it is {SITE_URL!r}"
    )
if "*" in ALLOWED_HOSTS and not SITE_URL and not DEBUG:
    raise ImproperlyConfigured(
        "SITE_URL must be set while ALLOWED_HOSTS is *, for example SITE_URL=https://airy.example: otherwise whoever"
        " asks for a letter chooses the host of its link"
    )
SECRET_KEY = read_key("SECRET_KEY", debug=DEBUG)
SECRET_KEY_FALLBACKS = read_keys("SECRET_KEY_FALLBACKS", debug=DEBUG)
EVENTS_SIGNING_KEYS = read_keys("EVENTS_SIGNING_KEYS", debug=DEBUG)
#: The function that sets tracing up in each process; empty: it is off.
EVENTS_TRACING = "airy.tracing.set_up" if read_tracing() else ""
EVENTS_KEEP = as_keep_times(str(read("EVENTS_KEEP", str, "")))
EVENTS_KEEP_ATTEMPTS = as_keep_time("EVENTS_KEEP_ATTEMPTS", str(read("EVENTS_KEEP_ATTEMPTS", str, "30d")))
EVENTS_KEEP_DEAD_LETTERS = as_keep_time(
    "EVENTS_KEEP_DEAD_LETTERS", str(read("EVENTS_KEEP_DEAD_LETTERS", str, "forever"))
)
EVENTS_PARTITION = str(read("EVENTS_PARTITION", str, PARTITION))
EVENTS_MAX_FOREIGN_BYTES = read("EVENTS_MAX_FOREIGN_BYTES", int, 1_000_000, minimum=1_000)

# Limits: docs/operations.md has the table --------------------------------------------------------------------------

RATE_LIMITS = read_flag("RATE_LIMITS", True)
TRUSTED_PROXIES = read_proxies()
if read_flag("BEHIND_PROXY", False):
    raise ImproperlyConfigured(
        "BEHIND_PROXY is gone: name the addresses of your proxies in TRUSTED_PROXIES, for example"
        " TRUSTED_PROXIES=127.0.0.1, and leave BEHIND_PROXY out"
    )
METRICS_TOKEN = read("METRICS_TOKEN", str, "")
LIMIT_ADDRESS = read_rates("LIMIT_ADDRESS", "300/10")
LIMIT_HANDSHAKES = read_rates("LIMIT_HANDSHAKES", "60/60")
LIMIT_READ = read_rates("LIMIT_READ", "100/10")
LIMIT_VISIT = read_rates("LIMIT_VISIT", "40/10")
LIMIT_WRITE = read_rates("LIMIT_WRITE", "60/60")
LIMIT_REGISTRATIONS = read_rates("LIMIT_REGISTRATIONS", "10/3600")
LIMIT_TRIES_BY_ADDRESS = read_rates("LIMIT_TRIES_BY_ADDRESS", "10/60,100/3600")
LIMIT_TRIES_BY_ACCOUNT = read_rates("LIMIT_TRIES_BY_ACCOUNT", "10/60,30/3600,100/86400")
LIMIT_TRIES_BY_PAIR = read_rates("LIMIT_TRIES_BY_PAIR", "10/60,60/3600")
LIMIT_LETTERS = read_rates("LIMIT_LETTERS", "5/3600")
LIMIT_FORGOTTEN = read_rates("LIMIT_FORGOTTEN", "20/3600")
LIMIT_EXPORTS = read_rates("LIMIT_EXPORTS", "5/3600")
KNOWN_ADDRESS_DAYS = read("KNOWN_ADDRESS_DAYS", int, 90, minimum=1)
REQUESTS_AT_ONCE_PER_ADDRESS = read("REQUESTS_AT_ONCE_PER_ADDRESS", int, 4, minimum=1)
REQUESTS_WAITING_PER_ADDRESS = read("REQUESTS_WAITING_PER_ADDRESS", int, 40, minimum=0)
SOCKETS_PER_ADDRESS = read("SOCKETS_PER_ADDRESS", int, 100, minimum=1)
SOCKETS_PER_USER = read("SOCKETS_PER_USER", int, 10, minimum=1)
SOCKETS_PER_PROCESS = read("SOCKETS_PER_PROCESS", int, 2_000, minimum=1)
SOCKET_ROUND_SECONDS = read("SOCKET_ROUND_SECONDS", int, 30, minimum=2)
SOCKET_FRAME_BYTES = read("SOCKET_FRAME_BYTES", int, 16_384, minimum=4_096)
CONNECTIONS_PER_ADDRESS = read("CONNECTIONS_PER_ADDRESS", int, 200, minimum=1)
HEAD_BYTES = read("HEAD_BYTES", int, 65_536, minimum=8_192)
HEAD_SECONDS = read("HEAD_SECONDS", int, 10, minimum=1)
ANSWER_SECONDS = read("ANSWER_SECONDS", int, 30, minimum=1)
REFUSAL_SECONDS = read("REFUSAL_SECONDS", float, 1.0, minimum=0)
BODY_BYTES = read("BODY_BYTES", int, 1_000_000, minimum=1_000)
BODY_SECONDS = read("BODY_SECONDS", int, 30, minimum=1)

# Django -------------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "events",  # before django_dramatiq, whose `rundramatiq` it replaces
    "django_dramatiq",
    "feeds",
    "notifications",
    "airy",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "ninja",
]
AUTH_USER_MODEL = "feeds.User"
ROOT_URLCONF = "airy.urls"
ASGI_APPLICATION = "airy.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = [
    "airy.logs.request.RequestOfLines",
    "airy.measured.NamedRoute",
    "airy.probes.Probes",
    "django.middleware.security.SecurityMiddleware",
    "airy.headers.PageHeaders",
    "airy.caching.CacheControl",
    "airy.static_files.StaticFiles",
    "airy.compression.Compression",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "airy.refusals.json_for_programs",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "feeds.sessions.seen.SeenSessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "airy.gate.accounts.AccountLimits",
    "airy.head.HeadLikeGet",
    "feeds.views.carrying_on.CarryOn",
    "feeds.views.refusals.RefusalMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "airy" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "notifications.context_processors.stream",
            ]
        },
    }
]


#: What libpq is told about the network, in seconds: a peer that is silent is given up after 10 + 3 * 5 = 25 of them,
#: whether a statement waits for its answer or is not yet received, and a new session after 10.
NETWORK = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}


def database() -> dict[str, Any]:
    """DATABASES["default"]: PostgreSQL with `airy.postgresql` and psycopg's pool, or SQLite with `airy.sqlite`."""
    url = urlparse(DATABASE_URL)
    if url.scheme not in {"postgres", "postgresql", "sqlite"} or not url.path.strip("/"):
        raise ImproperlyConfigured(
            "DATABASE_URL must be postgres://user:password@host:5432/name or sqlite:////path/to/file"
        )
    config = dict(env.db_url_config(DATABASE_URL))
    if DATABASE_DIRECT_URL and (url.scheme == "sqlite" or not urlparse(DATABASE_DIRECT_URL).path.strip("/")):
        raise ImproperlyConfigured(
            "DATABASE_DIRECT_URL must be postgres://user:password@host:5432/name, the database of DATABASE_URL without"
            " the pooler between; leave it out without a pooler"
        )
    if config["ENGINE"] == "django.db.backends.sqlite3":
        Path(config["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        return config | {
            "ENGINE": "airy.sqlite",
            "TEST": {"NAME": str(VAR_DIR / "test.sqlite3")},
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
            },
        }
    pool = {"min_size": 0, "max_size": read("DATABASE_POOL_SIZE", int, 40, minimum=4), "timeout": 30}
    given = config.get("OPTIONS", {})
    # Just-in-time compilation pays off for analyses; for a short statement on large tables it may take minutes.
    start = {"options": f"-c jit=off {given.pop('options', '')}".strip(), "prepare_threshold": 0}
    if DATABASE_DIRECT_URL:  # a pooler of transactions between: it takes no options, and mixes up prepared statements
        start = {}
        config["DISABLE_SERVER_SIDE_CURSORS"] = True
    return config | {
        "ENGINE": "airy.postgresql",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": pool} | start | NETWORK | given,
    }


DATABASES = {"default": database()}
CHANNEL_LAYERS = {
    "default": (
        {
            "BACKEND": "notifications.push.pubsub_layer.PubSubLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": REDIS_PREFIX},
        }
        if REDIS_URL
        # All sockets of the process share one channel, which must hold what comes at once, for as long as it runs.
        else {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"capacity": 100_000, "group_expiry": 10 * 365 * 86_400},
        }
    )
}
#: In the process, so that no page needs Redis. What all processes count together is in `feeds.limits.shared`.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Mail ---------------------------------------------------------------------------------------------------------------


def mail() -> dict[str, Any]:
    """Django's settings of the mail server that EMAIL_URL names; without one, letters are written to the console."""
    if not (address := str(read("EMAIL_URL", str, ""))):
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    cure = (  # the value is not shown, since it has a password
        "EMAIL_URL must be smtp://user:password@host:port, smtp+tls://… (STARTTLS, often port 587) or smtp+ssl://…"
        " (often port 465); in user and password write %40 for @, and so on"
    )
    try:
        url = urlparse(address)
        if url.scheme not in {"smtp", "smtp+tls", "smtp+ssl"} or not url.hostname or url.path.strip("/") or url.query:
            raise ValueError
        default = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}[url.scheme]
        return dict(env.email_url_config(url)) | {"EMAIL_PORT": url.port or default}
    except ValueError:
        raise ImproperlyConfigured(cure) from None


globals().update(mail())
#: Seconds.
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = read(
    "DEFAULT_FROM_EMAIL", str, f"Airy <noreply@{urlparse(SITE_URL).hostname or 'localhost'}>"
)
if not re.fullmatch(r"[^<>\r\n]*<[^@<>\s]+@[^@<>\s]+>|[^@<>\s]+@[^@<>\s]+", DEFAULT_FROM_EMAIL):
    raise ImproperlyConfigured(
        f"DEFAULT_FROM_EMAIL must be an address such as Airy <noreply@airy.example>; it is {DEFAULT_FROM_EMAIL!r}"
    )

# Events -------------------------------------------------------------------------------------------------------------

DRAMATIQ_AUTODISCOVER_MODULES = ("subscribers",)
DRAMATIQ_IGNORED_MODULES = ["django_dramatiq.tasks"]
_BROKERS: dict[str, dict[str, Any]] = {
    "embedded": {"BROKER": "events.brokers.embedded.EmbeddedBroker"},
    "rabbitmq": {
        "BROKER": "events.brokers.rabbitmq.RabbitmqBroker",
        "OPTIONS": {
            "host": MQ_HOST,
            "port": MQ_PORT,
            "user": MQ_USER,
            "password": MQ_PASSWORD,
            "vhost": MQ_VHOST,
            "tls": MQ_TLS,
            "ca_file": MQ_CA_FILE,
            "api_url": MQ_API_URL,
            "exchange": MQ_EXCHANGE,
            "queue_type": MQ_QUEUE_TYPE,
        },
    },
}
DRAMATIQ_BROKER = _BROKERS[AIRY_BROKER] | {"MIDDLEWARE": ["django_dramatiq.middleware.DbConnectionsMiddleware"]}

# People -------------------------------------------------------------------------------------------------------------

#: The first alone takes passwords. Sessions name the second (`feeds.sessions.seen`).
AUTHENTICATION_BACKENDS = ["feeds.limits.backend.LimitedBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
#: Seconds for which the links in letters work.
PASSWORD_RESET_TIMEOUT = 86_400
SESSION_ENGINE = "feeds.sessions.store"
CSRF_FAILURE_VIEW = "feeds.views.expired_forms.expired_form"
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "airy" / "locale"]
#: No body that the gate lets through touches the disk.
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = BODY_BYTES
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"  # of `collectstatic`, for another server: Airy serves the apps' own files
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "airy.static_names.HashedNames"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# Production ---------------------------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = read_flag("SECURE_SSL_REDIRECT", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = read_flag("SECURE_COOKIES", SECURE_SSL_REDIRECT)
SECURE_HSTS_SECONDS = read("SECURE_HSTS_SECONDS", int, 0, minimum=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0

# Logging ------------------------------------------------------------------------------------------------------------

configure_structlog()
LOGGING = logging_settings(debug=DEBUG, level=LOG_LEVEL)
LOGGING_CONFIG = "logging.config.dictConfig" if DEBUG else "airy.logs.set_up.set_up"
