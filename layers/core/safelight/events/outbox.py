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


def append(run: Run, name: Name, gallery_id: uuid.UUID, subject_id: uuid.UUID, title: str, **data: Any) -> None:
    """Tell a gallery's owner. `data` says more, in JSON; no name or address of a visitor belongs there."""
    told = json.dumps({"gallery_id": str(gallery_id), **data})
    run(_APPEND, event=name, subject=str(subject_id), title=title, data=told, gallery=str(gallery_id))
