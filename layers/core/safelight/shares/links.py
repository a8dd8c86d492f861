"""Finding the link that a path names, and how often an address may name one that is not there.

Slugs are words that people choose, so they can be guessed: an address may name 60 missing slugs a minute, and then gets
429 for all slugs that it names. That must hold for slugs that are there as well, or the answer would tell which those
are. Two kinds are always served, because they guess nothing: requests by id, which has 122 random bits, and requests
with proof of an earlier visit. All others wait until the bucket has room.

While less than half of the bucket is used, a request that finds its link does not wait for misses that are being
counted, at most one for each connection to the database. So of many guesses at once no hit is served after more than 60
misses, or after more than 30 and one for each connection if that is more.
"""

import uuid
from collections.abc import Callable

from pg8000.native import Connection

from safelight import throttle
from safelight.errors import NotFound
from safelight.shares import visits
from safelight.shares.visits import Share
from safelight.throttle import Rule

MISSED = Rule("missing link from address", 60, 60)


def find(
    connection: Connection, secret: str, ip: str | None, reference: str, is_known: Callable[[Share], bool]
) -> Share:
    """The live link of this id or slug, in one statement unless the slug is missing or the address missed many.

    `is_known`: whether the request proves that its sender was on this link before. Raises NotFound, TooManyRequests.
    """
    try:
        share_id = str(uuid.UUID(reference))
    except ValueError:
        return _find_slug(connection, secret, ip, reference, is_known)
    return visits.find(connection, share_id)


def _find_slug(
    connection: Connection, secret: str, ip: str | None, slug: str, is_known: Callable[[Share], bool]
) -> Share:
    claims = throttle.claims(MISSED, ip)
    try:
        share, busy = visits.find_slug(connection, slug, *throttle.busy(secret, claims))
    except NotFound:
        throttle.take(connection.run, secret, *claims)
        _commit(connection)  # kept, although the request fails
        raise
    if busy and not is_known(share):
        # In turn with the misses, so that of many guesses at once hits are refused like misses. Hits do not count.
        throttle.take(connection.run, secret, *claims)
        throttle.give_back(connection.run, secret, *claims)
        _commit(connection)  # the others' turn
    return share


def _commit(connection: Connection) -> None:
    connection.run("COMMIT")
    connection.run("BEGIN")
