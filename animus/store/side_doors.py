"""What PostgreSQL gives to everybody by itself, taken from the application's roles.

Temporary tables can stand in for real ones, and large objects are a table that no grant covers.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from animus.store.protection import APPLICATION_ROLES


def close_side_doors(connection: Connection) -> None:
    """Raises `RuntimeError` with the statements for a DBA, where this user may not run them."""
    for role in APPLICATION_ROLES:
        for statement in _closing(connection, role):
            connection.execute(text(statement))
    still_open = [line for role in APPLICATION_ROLES for line in _closing(connection, role)]
    if still_open:
        raise RuntimeError(
            "The application's roles can do more in this database than they may. "
            f"Let a superuser run: {'; '.join(still_open)}"
        )


def _closing(connection: Connection, role: str) -> list[str]:
    """What would close the doors that are open to `role` now."""
    return list(connection.scalars(text(_CLOSING), {"role": role}))


_CLOSING = r"""
WITH asked (role) AS (SELECT CAST(:role AS name))
SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, %I', current_database(), role)
  FROM asked WHERE has_database_privilege(role, current_database(), 'TEMPORARY')
UNION ALL
SELECT format('REVOKE CREATE ON SCHEMA public FROM PUBLIC, %I', role)
  FROM asked WHERE has_schema_privilege(role, 'public', 'CREATE')
UNION ALL
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, %I', oid::regprocedure, role)
  FROM asked, pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace
   AND (proname LIKE 'lo\_%' OR proname IN ('loread', 'lowrite'))
   AND has_function_privilege(role, oid, 'EXECUTE')
"""
