"""The roles of the configured database, made after its migrations."""

import logging

from safelight.config import settings
from safelight.db import driver
from safelight.roles.install import install

log = logging.getLogger(__name__)


def install_configured() -> None:
    """Make the roles whose passwords are configured; without any, all functions go on as the owner.

    Raises RolesNotMade, Unavailable.
    """
    configured = settings()
    passwords = {name: secret.get_secret_value() for name, secret in configured.database_passwords.items()}
    if passwords:
        with driver.connection() as connection:
            install(connection.run, passwords)
    elif configured.is_public:
        log.warning("DATABASE_PASSWORDS is not set: all functions use the database as the owner of its tables")
