"""The reports of the workers. API and workers are different processes, often on different machines: they share a table.

A report expires, so that a worker that is gone says nothing for ever.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

type State = Literal["ok", "platform", "missing"]

KEPT = dt.timedelta(days=30)
"""For the count of violations of a worker that is gone."""

_RENEW = """
    INSERT INTO sandbox_reports AS r (worker, state, reason, expires_at)
    VALUES (:worker, :state, :reason, now() + make_interval(secs => :seconds))
    ON CONFLICT (worker) DO UPDATE
    SET state = excluded.state, reason = excluded.reason, reported_at = now(), expires_at = excluded.expires_at
"""
_COUNT = """
    INSERT INTO sandbox_reports AS r (worker, state, violations, expires_at) VALUES (:worker, :state, 1, now())
    ON CONFLICT (worker) DO UPDATE SET violations = r.violations + 1
"""
_ALL = "SELECT worker, state, reason, violations, expires_at > now() FROM sandbox_reports ORDER BY worker"


@dataclass(frozen=True, slots=True)
class Report:
    """`fresh`: whether it still holds. The violations count even when it does not."""

    worker: str
    state: State
    reason: str | None
    violations: int
    fresh: bool


def renew(session: Session, worker: str, state: State, reason: str | None, seconds: float) -> None:
    """The worker's state, good for `seconds`."""
    values = {"worker": worker, "state": state, "reason": reason, "seconds": seconds}
    session.execute(text(_RENEW), values)


def count_violation(session: Session, worker: str, state: State) -> None:
    """One more attempt to break out."""
    session.execute(text(_COUNT), {"worker": worker, "state": state})


def everything(session: Session) -> list[Report]:
    """All reports, those that expired among them."""
    return [Report(*row) for row in session.execute(text(_ALL))]


def forget(session: Session) -> None:
    """Drop the reports of workers that have been gone for long."""
    session.execute(
        text("DELETE FROM sandbox_reports WHERE expires_at < now() - cast(:kept AS interval)"), {"kept": KEPT}
    )
