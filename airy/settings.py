"""Settings: read once from the environment. A malformed value stops the start; the error names it and the cure."""

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.utils.translation import gettext_lazy as _
from environ import FileAwareEnv

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
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


def read_flag(name: str, default: bool) -> bool:
    """The value of an on/off variable (on/off, true/false, yes/no, 1/0). Raises ImproperlyConfigured for any other."""
    value = str(env.get_value(name, default="on" if default else "off")).strip().lower()
    if value in {"on", "true", "yes", "1"}:
        return True
    if value in {"off", "false", "no", "0"}:
        return False
    raise ImproperlyConfigured(f"{name} must be on or off; it is {value!r}")


# Fixed names of the environment -------------------------------------------------------------------------------------

DEBUG = read_flag("DEBUG", False)
DATABASE_URL = read("DATABASE_URL", str, f"sqlite:///{VAR_DIR / 'airy.sqlite3'}")
#: Past a pooler of transactions (PgBouncer) that DATABASE_URL names: for the relay's own session.
DATABASE_DIRECT_URL = read("DATABASE_DIRECT_URL", str, "", schemes=("postgres", "postgresql"))
MQ_HOST = read("MQ_HOST", str, "")
AIRY_BROKER = read("AIRY_BROKER", str, "rabbitmq" if MQ_HOST else "embedded", choices=("embedded", "rabbitmq"))
MQ_HOST = MQ_HOST or "localhost"
MQ_PORT = read("MQ_PORT", int, 5672, minimum=1, maximum=65535)
MQ_USER = read("MQ_USER", str, "guest")
MQ_PASSWORD = read("MQ_PASSWORD", str, "guest")
MQ_VHOST = read("MQ_VHOST", str, "/")
MQ_EXCHANGE = read("MQ_EXCHANGE", str, "airy.events")
MQ_QUEUE_PREFIX = read("MQ_QUEUE_PREFIX", str, "airy.")
MQ_QUEUE_TYPE = read("MQ_QUEUE_TYPE", str, "classic", choices=("classic", "quorum"))
MQ_API_URL = read("MQ_API_URL", str, "", schemes=("http", "https"))
REDIS_URL = read("REDIS_URL", str, "", schemes=("redis", "rediss"))
REDIS_PREFIX = read("REDIS_PREFIX", str, "airy")
GOROUTINE_POOL_SIZE = read("GOROUTINE_POOL_SIZE", int, 10_000, minimum=1)
FANOUT_THRESHOLD = read("FANOUT_THRESHOLD", int, 20_000, minimum=0)
RATE_LIMITS = read_flag("RATE_LIMITS", True)
LOG_LEVEL = str(read("LOG_LEVEL", str, "INFO")).upper()
if LOG_LEVEL not in LEVELS:
    raise ImproperlyConfigured(f"LOG_LEVEL must be one of {', '.join(LEVELS)}; it is {LOG_LEVEL!r}")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])


def secret_key() -> str:
    """SECRET_KEY; under DEBUG, if it is not set, a key that is generated once and kept in var/."""
    if key := read("SECRET_KEY", str, ""):
        return str(key)
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set: export SECRET_KEY=… (or SECRET_KEY_FILE, or DEBUG=on for development)"
        )
    path = VAR_DIR / "secret_key"
    if not path.exists():
        VAR_DIR.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(get_random_secret_key())
    return path.read_text()


SECRET_KEY = secret_key()
SECRET_KEY_FALLBACKS = [key for key in str(read("SECRET_KEY_FALLBACKS", str, "")).split(",") if key]
EVENTS_SIGNING_KEYS = [key for key in str(read("EVENTS_SIGNING_KEYS", str, "")).split(",") if key]
EVENTS_MAX_FOREIGN_BYTES = read("EVENTS_MAX_FOREIGN_BYTES", int, 1_000_000, minimum=1_000)

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
    "django.middleware.security.SecurityMiddleware",
    "airy.headers.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "airy.refusals.json_under_api",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": REDIS_PREFIX},
        }
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": REDIS_PREFIX}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

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
            "exchange": MQ_EXCHANGE,
            "queue_type": MQ_QUEUE_TYPE,
        },
    },
}
DRAMATIQ_BROKER = _BROKERS[AIRY_BROKER] | {"MIDDLEWARE": ["django_dramatiq.middleware.DbConnectionsMiddleware"]}

# People -------------------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "airy" / "locale"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# Production ---------------------------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = read_flag("SECURE_SSL_REDIRECT", False)
BEHIND_PROXY = read_flag("BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = read_flag("SECURE_COOKIES", SECURE_SSL_REDIRECT)
SECURE_HSTS_SECONDS = read("SECURE_HSTS_SECONDS", int, 0, minimum=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0

# Logging ------------------------------------------------------------------------------------------------------------

_shared: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper("iso"),
]
_renderer = structlog.dev.ConsoleRenderer() if DEBUG else structlog.processors.JSONRenderer()
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer],
            "foreign_pre_chain": [*_shared, structlog.stdlib.ExtraAdder()],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"pika": {"level": "CRITICAL"}, "dramatiq": {"level": "WARNING"}},
}
