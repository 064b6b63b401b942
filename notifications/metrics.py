"""Metrics: the figures of live push. Those of all processes add up (`events.figures`)."""

from events.figures import Counter, Gauge, Histogram

#: Close codes that the server chooses.
CODES = ("1001", "1012", "1013", "4400", "4401", "4403", "4408", "4409", "4429")
PATHS = ("live", "read")
READS = ("session", "stream")

SOCKETS_OPEN = Gauge("airy_sockets_open", "Open websockets")
SOCKETS_CLOSED = Counter(
    "airy_sockets_closed_total",
    "Websockets closed by the server",
    labels=["code"],
    known=lambda: [(code,) for code in CODES],
)
NOTES_SENT = Counter(
    "airy_notes_sent_total",
    "Notices sent to sockets: live by a hint, or read from the database",
    labels=["path"],
    known=lambda: [(path,) for path in PATHS],
)
SOCKETS_BEHIND = Counter(
    "airy_sockets_behind_total", "Sockets that a round found behind: their hints were lost or are late"
)
ROUND_MADE = Gauge(
    "airy_round_made_timestamp_seconds",
    "When the process that is latest with it last compared all its sockets with the database; 0: none ever did",
    across="min",
)
HUB_HEARS = Gauge(
    "airy_hub_hears",
    "Whether every process with sockets hears what it sends to Redis; 0: notices come by the rounds",
    across="min",
    otherwise=1,
)
HINTS_SENT = Counter("airy_hints_sent_total", "Hints that were given to the channel layer")
HINTS_LOST = Counter("airy_hints_lost_total", "Hints that did not reach the channel layer")
SOCKETS_WAITING = Gauge(
    "airy_sockets_waiting",
    "Questions of sockets that wait for a read of the database",
    labels=["read"],
    known=lambda: [(read,) for read in READS],
)
HINT_SECONDS = Histogram(
    "airy_hint_seconds",
    "From the sending of a hint until it is handed on to the sockets",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
