"""Stack Exchange: import a dump of one of its sites as users, posts, comments, votes and follows, with all events.

A question becomes a post, an answer a comment on it, a comment a comment on the question or a reply to the answer. Runs
in `manage.py import_stackexchange`. Writes these tables and ImportedRow, in chunks; an interrupted import continues.
"""
