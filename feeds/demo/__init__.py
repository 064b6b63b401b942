"""Demo: a small community to look at, loaded once in one transaction, with the actions that users have.

Runs in `manage.py demo`. Writes the tables that the actions write, and one row of ImportedRow that says it was loaded.
"""
