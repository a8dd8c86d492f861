"""Pieces in the object store's volumes that belong to no object, and how a start of the store removes them.

The store answers a DELETE when the object's entry is gone, and keeps in memory for about a second which bytes it still
has to mark as deleted. Killed within that second it never marks them, and no compaction removes them. Only while
nothing is uploaded can they be told from the bytes of an upload under way, so they are removed before S3 is opened.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pg8000.exceptions import DatabaseError, InterfaceError

from local.connect import connect
from local.objectstore import ObjectStore

CLEAN = "clean"
"""A file of this name in the store's folder says that the last stop was an orderly one."""
SUSPECTED = "orphans"
"""One of this name, made by the sweep (`safelight.storage.compaction`), says that there are some."""

MARKED_AFTER_SECONDS = 1.5
"""What was deleted is marked by then: the store does it every 1.123 s."""
CHECK_SECONDS = 3600.0
"""One check reads every entry and every index: 4 s for 100,000 objects."""


OBJECTS_IN_USE = """
SELECT count(DISTINCT photos.id) + count(renditions.name) FROM photos LEFT JOIN renditions ON photo_id = photos.id
WHERE status = 'ready' AND deleted_at IS NULL AND damaged_at IS NULL
"""
"""Originals and renditions that the store must have."""
UNDEFINED_TABLE = "42P01"


class NotPurged(RuntimeError):
    """The orphans are still there. The text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a check of the store counted: objects, and pieces that belong to none."""

    objects: int
    orphans: int


def begin(folder: Path) -> bool:
    """Note that the store of this folder is about to run; `stop` notes that it ended in order.

    Whether it may hold orphans: its last run did not end so, or the sweep has seen some. That is remembered until they
    are purged.
    """
    in_order = (folder / CLEAN).exists() or not any((folder / "data").glob("*.dat"))
    if not in_order:
        (folder / SUSPECTED).touch(0o600)
    (folder / CLEAN).unlink(missing_ok=True)
    if folder.exists():
        _sync(folder)  # a power cut must not bring the file back
    return (folder / SUSPECTED).exists()


def stop(store: ObjectStore) -> None:
    """Stop a store that nobody deletes from any more, after it has marked what was deleted."""
    if store.pid is not None:
        time.sleep(MARKED_AFTER_SECONDS)
    runs = store.pid is not None
    store.stop()
    if runs:
        os.sync()  # a power cut must not take back what the file says
        (store.directory / CLEAN).touch(0o600)


def purge(store: ObjectStore, database_url: str, say: Callable[[str], None]) -> None:
    """Remove the orphans of a store that was launched without S3, and stop it.

    What is still owed when that fails is said, and tried again at the next start. Raises StartError when the store does
    not start.
    """
    store.wait()
    try:
        removed = _remove(store, _objects_in_use(database_url))
    except (NotPurged, InterfaceError, OSError) as error:
        say(f"The object store may hold bytes of deleted photos: {error}. The next start tries again.")
    else:
        (store.directory / SUSPECTED).unlink(missing_ok=True)
        if removed:
            say(f"  {removed} pieces of deleted objects removed from the object store")
    finally:
        store.stop()


def _remove(store: ObjectStore, in_use: int) -> int:
    """How many there were.

    With fewer entries than objects in use the store has lost some. Their bytes look like orphans, and may be all that
    they can be restored from.
    """
    found = _check(store, "")
    if found.objects < in_use:
        raise NotPurged(f"it knows {found.objects} objects, the database {in_use}, so these may be of lost objects")
    if found.orphans:
        _check(store, " -reallyDeleteFromVolume")
        left = _check(store, "").orphans
        if left:
            raise NotPurged(f"{left} pieces of {found.orphans} are still there")
    return found.orphans


def _objects_in_use(database_url: str) -> int:
    connection = connect(database_url)
    try:
        ((count,),) = connection.run(OBJECTS_IN_USE)
    except DatabaseError as error:
        if error.args[0].get("C") == UNDEFINED_TABLE:
            return 0
        raise NotPurged("the database does not say how many objects are in use") from error
    finally:
        connection.close()
    return int(count)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(store: ObjectStore, options: str) -> Found:
    try:
        output = store.shell(f"lock\nvolume.fsck -cutoffTimeAgo=1ms{options}\nunlock\n", CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotPurged("the check took too long") from None
    objects = re.search(r"^total \d+ directories, (\d+) files$", output, re.MULTILINE)
    orphans = re.search(r"^Total\s.*\borphan:(\d+)", output, re.MULTILINE)
    if objects is None or (orphans is None and not options):
        raise NotPurged(f"the check failed, see {store.log}")
    return Found(int(objects[1]), int(orphans[1]) if orphans else 0)
