"""Alembic's entry: migrates the ledger of the settings, or the connection it is handed."""

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from pravah.db.connect import sqlite_engine
from pravah.db.open import create_missing, sqlite_path
from pravah.db.schema import metadata
from pravah.errors import PravahError
from pravah.settings import Settings


def migrate(connection: Connection) -> None:
    """Run every migration that is missing, in one transaction."""
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
        path = sqlite_path(Settings().database_url)
        create_missing(path)
    except PravahError as error:
        # The one error that the `alembic` command prints as a line, without a traceback.
        raise CommandError("\n".join(filter(None, (error.message, error.hint)))) from error
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()


main()
