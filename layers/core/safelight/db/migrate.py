"""Running the migrations from code."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from safelight.db.engine import engine


def upgrade(ini: Path) -> str:
    """Upgrade the configured database to head; returns the revision it then has."""
    command.upgrade(Config(ini), "head")
    with engine().connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""
