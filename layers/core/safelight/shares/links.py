"""Finding the link that a path names, and how often an address may name one that is not there.

Slugs are words that people choose, so they can be guessed: an address may name 60 missing links a minute, and then gets
429 for all that it names. That must hold for links that are there as well, or the answer would tell which those are.
Three kinds of requests are served nevertheless, because they guess nothing: one that names a link by its id, which has
122 random bits; one that brings proof of an earlier visit; and one after the bucket has run out a little.
"""

import uuid
from collections.abc import Callable

from pg8000.native import Connection

from safelight import throttle
from safelight.errors import NotFound
from safelight.shares import visits
from safelight.shares.visits import Share
from safelight.throttle import Claim, Rule

MISSED = Rule("missing link from address", 60, 60)


def find(
    connection: Connection, secret: str, ip: str | None, reference: str, is_known: Callable[[Share], bool]
) -> Share:
    """The live link of this id or slug, in one statement unless it is missing or the address has missed too many.

    `is_known`: whether the request proves that its sender was on this link before. Raises NotFound, TooManyRequests.
    """
    claims = throttle.claims(MISSED, ip)
    try:
        share, full = _find(connection, secret, claims, reference)
    except NotFound:
        throttle.take(connection.run, secret, *claims)
        # Kept, although the request fails.
        connection.run("COMMIT")
        connection.run("BEGIN")
        raise
    if full and not is_known(share):
        throttle.take(connection.run, secret, *claims)  # as for a missing link, so that both are refused alike
    return share


def _find(connection: Connection, secret: str, claims: tuple[Claim, ...], reference: str) -> tuple[Share, bool]:
    try:
        share_id = str(uuid.UUID(reference))
    except ValueError:
        return visits.find_slug(connection, reference, *throttle.full(secret, claims))
    return visits.find(connection, share_id), False
