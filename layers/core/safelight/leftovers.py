"""Files in the bucket that were sent to be looked at, and have been or never will be."""

import uuid
from collections.abc import Callable, Iterable
from itertools import batched
from typing import Protocol

from sqlalchemy.orm import Session

from safelight.db.engine import transaction

BATCH = 500


class Store(Protocol):
    """What this needs of the object store."""

    def delete(self, keys: Iterable[str]) -> None: ...
    def keys(self, prefix: str) -> Iterable[str]: ...


def erase(
    store: Store,
    prefix: str,
    owner: Callable[[str], uuid.UUID | None],
    waiting: Callable[[Session, list[uuid.UUID]], set[uuid.UUID]],
) -> int:
    """Delete every object below `prefix` that belongs to nothing, or to what waits for it no longer; how many.

    `owner` tells from a key whose it is, `waiting` which of the owners still need their files.
    """
    erased = 0
    # To the end of the listing: what waits comes in no order and must not hide what does not.
    for batch in batched(store.keys(prefix), BATCH, strict=False):
        found = {key: owner(key) for key in batch}
        with transaction() as session:
            needed = waiting(session, [one for one in found.values() if one is not None])
        gone = [key for key, one in found.items() if one not in needed]
        store.delete(gone)
        erased += len(gone)
    return erased
