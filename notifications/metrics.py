"""Metrics: the figures of live push, for Prometheus."""

from prometheus_client import Counter, Gauge

SOCKETS_OPEN = Gauge("airy_sockets_open", "Open websockets of this process")
SOCKETS_CLOSED = Counter("airy_sockets_closed", "Websockets closed by the server", ["code"])
NOTES_SENT = Counter("airy_notes_sent", "Notices sent to sockets: live by a hint, or read from the database", ["path"])
HINTS_LOST = Counter("airy_hints_lost", "Hints that did not reach the channel layer")
