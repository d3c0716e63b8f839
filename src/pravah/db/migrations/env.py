"""Alembic's entry: migrates the ledger of the settings, or the connection it is handed."""

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from pravah.db.connect import sqlite_engine
from pravah.db.open import create_missing, is_postgresql, sqlite_path
from pravah.db.open_postgres import migrating
from pravah.db.schema import metadata
from pravah.errors import PravahError
from pravah.settings import Settings


def migrate(connection: Connection) -> None:
    """Run every migration that is missing, in one transaction."""
    if connection.dialect.name != "sqlite":
        context.configure(connection=connection, target_metadata=metadata)
        context.run_migrations()  # in the transaction of whoever handed the connection
        return
    with connection.begin():
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        context.run_migrations()


def main() -> None:
    """Migrate the handed connection, or the ledger of the settings, created if it is missing."""
    handed = context.config.attributes.get("connection")
    if handed is not None:
        migrate(handed)
        return
    try:
        run(Settings().database_url)
    except PravahError as error:
        # The one error that the `alembic` command prints as a line, without a traceback.
        raise CommandError("\n".join(filter(None, (error.message, error.hint)))) from error


def run(url: str) -> None:
    """Run the command that was asked for on the ledger of a URL."""
    if is_postgresql(url):
        with migrating(url) as connection:
            migrate(connection)
        return
    path = sqlite_path(url)
    create_missing(path)
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()


main()
