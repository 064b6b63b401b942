"""PostgreSQL: Django's database backend for it, which survives what happens to the server.

A session that failed is closed for good, and the others in the pool with it; a session is looked at before it is used;
and the pool is back within half a second of the server. Django looks for `base.DatabaseWrapper`.
Runs in every thread that uses the database.
"""
