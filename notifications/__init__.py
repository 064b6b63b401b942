"""Notifications: who is notified of which event, and how open pages see it live.

Subscribers run in the worker threads, pages and the API in the web server's threads, sockets on its event loop. Writes
the tables of Stream and Notification.
"""
