"""How many files an account may send for analysis. They do not count towards its quota, because they are not kept."""

import uuid

from sqlalchemy.orm import Session

from safelight import throttle
from safelight.analyses import queries
from safelight.db.engine import runner
from safelight.errors import Conflict
from safelight.quotas import service as quotas
from safelight.throttle import Claim, Rule

WAITING = 100
"""Files that wait for their upload or their analysis."""
ANNOUNCED = Rule("file for analysis of account", 500, 3600.0)
"""However they end: those that failed or were deleted stay in the bucket until the next sweep."""


class TooManyWaiting(Conflict):
    code = "too_many_waiting"
    title = "Too many files of the account wait for analysis"


def announcement(session: Session, secret: str, owner_id: uuid.UUID) -> None:
    """Count one more file. Raises TooManyWaiting, TooManyRequests; NotFound when the account was erased."""
    # Under the lock of the account's counter, so that parallel requests cannot exceed the limit.
    quotas.hold(session, owner_id)
    if queries.waiting_uploads(session, owner_id) >= WAITING:
        raise TooManyWaiting(
            f"{WAITING} files of the account wait for their upload or their analysis, and no more may."
            " Upload those that were announced, or wait until some are analysed."
        )
    throttle.take(runner(session), secret, Claim(ANNOUNCED, str(owner_id)))
