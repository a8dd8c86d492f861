"""Removing deleted bytes from the store's disk, and the proof that they are gone.

S3 and MinIO remove them by themselves. The embedded SeaweedFS answers a DELETE when the object's entry is gone. About
a second later it marks the bytes as deleted, and they stay in the volume's file until that volume is compacted. Bytes
that were not marked yet when the store was killed belong to no object ("orphans"), and no compaction removes those. So
the proof has two steps: no orphan is left, then every volume was compacted (docs/decisions/0011).
"""

import fcntl
import http.client
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from safelight.errors import StorageUnavailable
from safelight.storage.seaweedfs import Control, Failed, Volume

ORPHANS = "orphans"
"""A file of this name in the store's folder asks the next start of the store to remove orphans."""

_MARKED_AFTER = 1.2  # seconds; the store marks deleted bytes every 1.123 s (weed/filer/filer_deletion.go)
_ATTEMPTS = 5
_CHANGES_KEPT = 1  # days
_REVISIONS = 1 << 16  # where the count of a volume's compactions starts again


class BytesRemain(Exception):
    """Deleted bytes may still be on the disk. The text says why, and what to do."""


class Compactor(Protocol):
    """What a store needs after DELETE before the object's bytes are gone."""

    def run(self) -> None:
        """Remove the bytes of all objects that were deleted before the call.

        Returns when that is proven. Raises BytesRemain, and StorageUnavailable when the store does not answer.
        """


class Unneeded:
    """For a store that removes deleted bytes by itself."""

    def run(self) -> None:
        """Nothing to do."""


class SeaweedCompactor:
    """Compacts the embedded store whose folder this is. One process at a time runs it, others wait."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self) -> None:
        """See `Compactor`. Takes 2 s and more: each volume with deleted bytes is copied without them."""
        try:
            with self._alone():
                store = Control.read(self._folder)
                store.forget_changes(_CHANGES_KEPT)
                self._await_marks(store)
                _compact(store)
        except Failed as error:
            raise BytesRemain(f"The store did not finish {error}. The next sweep tries again") from error
        except (OSError, http.client.HTTPException, subprocess.TimeoutExpired) as error:
            raise StorageUnavailable from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = self._folder / "compaction.lock"
        lock.touch(0o600)
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _await_marks(self, store: Control) -> None:
        """Wait until the store has marked what was deleted. Bytes that stay unmarked are orphans."""
        began = time.monotonic()
        fewest, in_vain = None, 0
        while in_vain < _ATTEMPTS:
            time.sleep(_MARKED_AFTER)
            # What is younger than this call may belong to an upload whose entry is not written yet.
            orphans = store.orphans(older_than=time.monotonic() - began)
            if orphans == 0:
                (self._folder / ORPHANS).unlink(missing_ok=True)
                return
            in_vain = 0 if fewest is None or orphans < fewest else in_vain + 1
            fewest = orphans
        (self._folder / ORPHANS).touch(0o600)
        raise BytesRemain(
            f"The store holds {fewest} pieces that belong to no object: of uploads under way, or of deletions that a "
            "crash cut off. If the next sweep finds them too, restart Safelight: the start removes them"
        )


def _compact(store: Control) -> None:
    before = store.volumes()
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt)
        store.compact()
        for number, volume in _left(before, store.volumes()).items():
            if volume.read_only:
                store.compact_one(number)
        left = _left(before, store.volumes())
        if not left:
            return
    need = max(volume.size for volume in left.values()) // 2**20 + 1
    raise BytesRemain(
        f"The store could not compact its volumes {sorted(left)}, for which it needs up to {need} MiB of free disk "
        "space. Free some; the next sweep tries again"
    )


def _left(before: dict[int, Volume], after: dict[int, Volume]) -> dict[int, Volume]:
    """Volumes that may hold what was deleted `before`.

    One that others delete from all the time is done after two compactions: the second began after `before`.
    """
    return {
        number: now
        for number, then in before.items()
        if (now := after.get(number, then)).deleted and (now.revision - then.revision) % _REVISIONS < 2
    }
