"""Batch: work through a large table in chunks, each a short transaction, while the site runs.

Runs in management commands, several chunks at once in the threads of the task pool. Writes no table by itself.
"""
