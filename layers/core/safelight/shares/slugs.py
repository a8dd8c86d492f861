"""Slugs of links belong to one link each, and how many that others have an account may try.

A refused slug is a link that is there: without a limit, choosing slugs would be a way to guess links that `links` does
not count.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from safelight import throttle
from safelight.db.engine import runner
from safelight.db.failures import violated
from safelight.errors import Conflict
from safelight.throttle import Claim, Rule

REFUSED = Rule("taken slug of account", 60, 60 * 60)


class SlugTaken(Conflict):
    code = "slug_taken"
    title = "Another share link has this slug already"
    keeps_changes = True  # it is counted


@dataclass(frozen=True, slots=True)
class Chooser:
    """The account that chooses a slug, and the secret that its counter is hashed with."""

    owner_id: uuid.UUID
    secret: str

    @contextmanager
    def choosing(self, session: Session) -> Iterator[None]:
        """A block that gives a link a slug; its changes are undone when the slug is another's.

        Only a slug that is taken counts. Requests of one account take turns, so the limit is exact.
        Raises SlugTaken, TooManyRequests.
        """
        claim = Claim(REFUSED, str(self.owner_id))
        throttle.take(runner(session), self.secret, claim)
        try:
            with session.begin_nested():
                yield
        except DatabaseError as error:
            if violated(error) == "uq_share_links_slug":
                raise SlugTaken from error
            raise
        throttle.give_back(runner(session), self.secret, claim)
