"""Alembic's entry: the database of DATABASE_URL, one migration run at a time."""

from alembic import context
from sqlalchemy import text

from safelight.config import database_url
from safelight.db.engine import make_engine
from safelight.models import Base

# Any fixed number: two first migrations at once must wait for one another.
FIRST_MIGRATION = 5_417_063


def run() -> None:
    """Bring the database to the asked revision in one transaction."""
    engine = make_engine(database_url(), pool_size=1)
    with engine.begin() as connection:
        # A migration that cannot get its lock fails fast instead of queueing every request behind it.
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FIRST_MIGRATION})
        else:
            # No function's role has a right on this table, so none can hold up a migration.
            connection.execute(text("LOCK TABLE alembic_version IN EXCLUSIVE MODE"))
        context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
        context.run_migrations()
    engine.dispose()


run()
