"""How often a locked link's password may be guessed, and selections and archives begun, from one address.

Each guess is committed before the password is looked at.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from pg8000.native import Connection

from safelight import throttle
from safelight.throttle import Claim, Rule

# A wedding's guests share one hotel's address and one typing error. Right passwords count apart from wrong ones.
UNLOCK_HERE = Rule("unlock link from address", 20, 15 * 60, site=2)
UNLOCK = Rule("unlock link", 200, 60 * 60)
UNLOCKED_HERE = Rule("successful unlock of link from address", 600, 60 * 60)
# Guests at one address are many; a script there, whatever it calls itself, must not use up what the link allows in all.
BEGIN_HERE = Rule("begin selection on link from address", 200, 24 * 60 * 60)
# Each other choice of photos is another archive, which costs jobs and lies in the bucket for days before it is counted.
ARCHIVE_HERE = Rule("begin archive on link from address", 40, 24 * 60 * 60)
ARCHIVE = Rule("begin archive on link", 400, 24 * 60 * 60)


@contextmanager
def unlock(connection: Connection, secret: str, ip: str | None, share_id: uuid.UUID) -> Iterator[None]:
    """One try to open a link; a block that raises has failed. Raises TooManyRequests."""
    failed = (*throttle.claims(UNLOCK_HERE, ip, of=share_id), Claim(UNLOCK, str(share_id)))
    right = throttle.claims(UNLOCKED_HERE, ip, of=share_id)
    throttle.take(connection.run, secret, *failed, *right)
    # Kept whatever the rest of the request does, and no row stays locked while a password is hashed.
    connection.run("COMMIT")
    connection.run("BEGIN")
    try:
        yield
    except Exception:
        connection.run("ROLLBACK")
        connection.run("BEGIN")
        throttle.give_back(connection.run, secret, *right)
        connection.run("COMMIT")
        connection.run("BEGIN")
        raise
    throttle.give_back(connection.run, secret, *failed)


def begin_selection(connection: Connection, secret: str, ip: str | None, share_id: uuid.UUID) -> None:
    """One more selection on a link; not counted when the transaction fails. Raises TooManyRequests."""
    throttle.take(connection.run, secret, *throttle.claims(BEGIN_HERE, ip, of=share_id))


def begin_archive(connection: Connection, secret: str, ip: str | None, share_id: uuid.UUID) -> None:
    """One more archive that is put together for a link; not counted when the transaction fails.

    Raises TooManyRequests.
    """
    here = throttle.claims(ARCHIVE_HERE, ip, of=share_id)
    throttle.take(connection.run, secret, *here, Claim(ARCHIVE, str(share_id)))
