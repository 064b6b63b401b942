"""Emptying: after a test on committed data the tables are as the migrations left them.

Django truncates every table and makes the permissions anew, which on PostgreSQL takes a second a test, however little
it wrote.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.test import TransactionTestCase

from events.repair.announce import announce

#: What the migrations wrote and no test writes.
KEPT = {"django_content_type", "auth_permission", "events_installation"}


def empty_tables(test: TransactionTestCase) -> None:
    """Delete all rows; in place of Django's own `_fixture_teardown`."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")  # no foreign key is looked after
        for table in set(tables) - KEPT:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
    announce()
