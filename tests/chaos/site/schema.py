"""Schema: everything that migrations make, as text, to be compared."""

from __future__ import annotations

from tests.support.servers.postgres import Cluster

SCHEMA = """
    SELECT format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable,
        coalesce(column_default, '')) FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('index %s is not valid', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid
    UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def schema_of(cluster: Cluster) -> set[str]:
    """Columns, indexes, constraints, triggers and functions."""
    return {line for (line,) in cluster.ask(SCHEMA)}
