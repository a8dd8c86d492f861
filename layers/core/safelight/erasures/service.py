"""Deletions and their reports. Hidden at once; the sweep erases objects, then rows, and then says so here."""

import uuid

from sqlalchemy.orm import Session

from safelight.erasures import queries
from safelight.erasures.schemas import ErasureOut, Kind
from safelight.errors import NotFound
from safelight.models import Erasure


def begin(session: Session, kind: Kind, subject_id: uuid.UUID) -> uuid.UUID:
    """Record what is about to be deleted; the id of the report, which only whoever deleted is told."""
    made = Erasure(kind=kind, subject_id=subject_id, **queries.count(session, subject_id))
    session.add(made)
    session.flush()
    return made.id


def show(session: Session, erasure_id: uuid.UUID) -> ErasureOut:
    """How far a deletion is. Raises NotFound."""
    found = queries.get(session, erasure_id)
    if found is None:
        raise NotFound
    return ErasureOut.model_validate(found)
