"""SQLite: Django's database backend for it, in which the writers of one process wait in line for the write lock.

Runs in every thread that uses the database. Django looks for `base.DatabaseWrapper`.
"""
