"""Search: find posts by their words, on PostgreSQL's full text or SQLite's FTS5.

Indexing runs in the worker threads and in `manage.py reindex`; searching runs in web processes.
Writes SearchDocument; the database keeps its full-text index over that table by itself.
"""
