"""Live: the websocket protocol of `/ws/notifications/`. A client that comes back misses nothing and sees it in order.

Runs on the event loop of the web server; its database work runs in threads. Writes only through `notices` (mark_read),
and creates a Stream row for a user who has none.
"""
