"""Metrics: the figures of live push, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

SOCKETS_OPEN = Gauge("airy_sockets_open", "Open websockets of this process")
SOCKETS_CLOSED = Counter("airy_sockets_closed", "Websockets closed by the server", ["code"])
NOTES_SENT = Counter("airy_notes_sent", "Notices sent to sockets: live by a hint, or read from the database", ["path"])
SOCKETS_BEHIND = Counter("airy_sockets_behind", "Sockets that a round found behind: their hints were lost or are late")
ROUND_MADE = Gauge(
    "airy_round_made_timestamp_seconds", "When this process last compared all its sockets with the database"
)
HUB_HEARS = Gauge("airy_hub_hears", "Whether this process hears what it sends to Redis; 0: notices come by the rounds")
HUB_HEARS.set(1)
HINTS_LOST = Counter("airy_hints_lost", "Hints that did not reach the channel layer")
SOCKETS_WAITING = Gauge("airy_sockets_waiting", "Questions of sockets that wait for a read of the database", ["read"])
HINT_SECONDS = Histogram(
    "airy_hint_seconds",
    "From the sending of a hint until it is handed on to the sockets",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
