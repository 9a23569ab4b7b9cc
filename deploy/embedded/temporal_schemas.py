"""Gives Temporal its two databases. Runs as the service user, at every start of Temporal.

Harmless when all is done, and leaves nothing half done when it is killed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.embedded.postgres_setup import TEMPORAL_ROLE, row_exists

MAIN_DATABASE = "temporal"
VISIBILITY_DATABASE = "temporal_visibility"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlTool:
    """Temporal's own schema tool, for one PostgreSQL server."""

    program: str
    host: str
    port: int
    password: str

    def run(self, database: str, *command: str) -> None:
        arguments = ["--plugin", "postgres12_pgx", "--user", TEMPORAL_ROLE]
        arguments += ["--endpoint", self.host, "--port", str(self.port), "--database", database]
        environment = os.environ | {"SQL_PASSWORD": self.password}
        ended = subprocess.run([self.program, *arguments, *command], env=environment)
        if ended.returncode != 0:
            sys.exit(f"temporal-sql-tool {command[0]} failed on the database {database}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sql-tool", required=True)
    parser.add_argument("--visibility-schema", type=Path, required=True)
    arguments = parser.parse_args()
    with psycopg.connect(os.environ["SETUP_URL"], autocommit=True) as connection:
        tool = SqlTool(
            program=arguments.sql_tool,
            host=connection.info.host,
            port=connection.info.port,
            password=os.environ["SETUP_TEMPORAL_PASSWORD"],
        )
        apply_schema(
            connection, MAIN_DATABASE, tool, schema=("--schema-name", "postgresql/v12/temporal")
        )
        with _visibility_schema(connection, arguments.visibility_schema) as directory:
            apply_schema(
                connection, VISIBILITY_DATABASE, tool, schema=("--schema-dir", str(directory))
            )


def apply_schema(
    connection: psycopg.Connection, database: str, tool: SqlTool, *, schema: tuple[str, str]
) -> None:
    """Create or update one database. A new one is made aside and renamed when it is complete."""
    if row_exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", database):
        tool.run(database, "update-schema", *schema)
        return
    scratch = f"{database}_new"
    _execute(connection, "DROP DATABASE IF EXISTS {}", scratch)
    _execute(connection, "CREATE DATABASE {} OWNER {}", scratch, TEMPORAL_ROLE)
    tool.run(scratch, "setup-schema", "--version", "0.0")
    tool.run(scratch, "update-schema", *schema)
    _rename_in_version_table(connection, scratch, database)
    _execute(connection, "ALTER DATABASE {} RENAME TO {}", scratch, database)


def _rename_in_version_table(connection: psycopg.Connection, scratch: str, database: str) -> None:
    info = connection.info
    with psycopg.connect(info.dsn, dbname=scratch, password=info.password) as inner:
        inner.execute("UPDATE schema_version SET db_name = %s", (database,))


def without_btree_gin(schema: str) -> str:
    """A schema file of Temporal's that does without the extension btree_gin.

    The extension only lets GIN indexes begin with `namespace_id`. An index without that column
    finds the same rows, and nearly all of ours are in one namespace.
    """
    without_extension = re.sub(
        r"DO LANGUAGE 'plpgsql' \$\$(?:(?!\$\$).)*btree_gin.*?\$\$;", "", schema, flags=re.DOTALL
    )
    return re.sub(r"(USING GIN \()namespace_id, ", r"\1", without_extension)


@contextmanager
def _visibility_schema(connection: psycopg.Connection, original: Path) -> Iterator[Path]:
    """The visibility schema that this PostgreSQL can take: the wheel's has no extra extensions."""
    extension = "SELECT 1 FROM pg_available_extensions WHERE name = %s"
    if row_exists(connection, extension, "btree_gin"):
        yield original
        return
    with tempfile.TemporaryDirectory() as scratch:
        changed = Path(scratch) / "versioned"
        shutil.copytree(original, changed, copy_function=shutil.copyfile)
        for file in changed.rglob("*.sql"):
            file.write_text(without_btree_gin(file.read_text()))
        yield changed


def _execute(connection: psycopg.Connection, statement: str, *names: str) -> None:
    identifiers = [sql.Identifier(name) for name in names]
    connection.execute(sql.SQL(statement).format(*identifiers))


if __name__ == "__main__":
    main()
