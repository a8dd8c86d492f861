"""Writing events, through the ORM's connection or the driver's.

An event is written in the transaction of what it tells, so there is never one without the other. Numbers are given
before transactions end, so a reader that remembers the highest one would miss what a slower transaction commits later.
A feed is therefore read in the order of transactions, and only up to the oldest that is still running.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any, Literal

type Run = Callable[..., Any]
"""Runs SQL with `:named` parameters."""
type Name = Literal["image_uploaded", "selection_submitted"]

_APPEND = """
    INSERT INTO events (owner_id, gallery_id, event, subject_id, title, data)
    SELECT owner_id, id, cast(:event AS text), cast(:subject AS uuid), cast(:title AS text), cast(:data AS jsonb)
    FROM galleries WHERE id = cast(:gallery AS uuid)
"""
_FORGET = """
    WITH former AS (
        DELETE FROM events WHERE gallery_id = cast(:gallery AS uuid) AND subject_id = cast(:subject AS uuid)
        AND event = cast(:event AS text) AND data = cast(:data AS jsonb)
    )
"""


def append(run: Run, name: Name, gallery_id: uuid.UUID, subject_id: uuid.UUID, title: str, **data: Any) -> None:
    """Tell a gallery's owner. `data` says more, in JSON; no name or address of a visitor belongs there."""
    _write(run, _APPEND, name, gallery_id, subject_id, title, data)


def tell_again(run: Run, name: Name, gallery_id: uuid.UUID, subject_id: uuid.UUID, title: str, **data: Any) -> None:
    """As `append`, in place of what was told with the same `data`: the feed has it once, where its last time belongs.

    The caller holds a lock, so that two at once do not both find nothing to replace.
    """
    _write(run, _FORGET + _APPEND, name, gallery_id, subject_id, title, data)


def _write(
    run: Run, sql: str, name: Name, gallery_id: uuid.UUID, subject_id: uuid.UUID, title: str, data: dict[str, Any]
) -> None:
    told = json.dumps({"gallery_id": str(gallery_id), **data})
    run(sql, event=name, subject=str(subject_id), title=title, data=told, gallery=str(gallery_id))
