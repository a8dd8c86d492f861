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
from pathlib import Path

from pg8000.exceptions import DatabaseError, InterfaceError

from local import filermeta, private
from local.connect import connect
from local.objectstore import ObjectStore
from local.process import StartError

CLEAN = "clean"
"""A file of this name in the store's folder says that the last stop was an orderly one."""
SUSPECTED = "orphans"
"""One of this name, made by the sweep (`safelight.storage.compaction`), says that there are some."""

MARKED_AFTER_SECONDS = 1.5
"""What was deleted is marked by then: the store does it every 1.123 s."""
CHECK_SECONDS = 3600.0
"""One check reads every entry and every index: 4 s for 100,000 objects."""


OBJECTS_IN_USE = """
WITH used AS (SELECT id, s3_key FROM photos WHERE status = 'ready' AND deleted_at IS NULL AND damaged_at IS NULL)
SELECT s3_key FROM used UNION ALL SELECT renditions.s3_key FROM renditions JOIN used ON id = photo_id
"""
"""Keys of the originals and renditions that the store must have."""
UNDEFINED_TABLE = "42P01"


class NotPurged(RuntimeError):
    """The orphans are still there. The text says why."""


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
        private.sync_folder(folder)  # a power cut must not bring the file back
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

    If it fails, it says what is left and the next start tries again. Raises StartError when the store does not start.
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


def _remove(store: ObjectStore, in_use: set[str]) -> int:
    """How many there were.

    When an object in use has no entry, the store has lost entries. Their bytes look like orphans, and may be all that
    they can be restored from.
    """
    found = _orphans(store)
    if found:
        missing = in_use - _keys(store)
        if missing:
            raise NotPurged(
                f"it has lost {len(missing)} objects that the database names ({min(missing)} is one), and these bytes "
                "may be theirs. Restore the store's folder from a backup"
            )
        _fsck(store, " -reallyDeleteFromVolume")
        left = _orphans(store)
        if left:
            raise NotPurged(f"{left} pieces of {found} are still there")
    return found


def _objects_in_use(database_url: str) -> set[str]:
    connection = connect(database_url)
    try:
        rows = connection.run(OBJECTS_IN_USE)
    except DatabaseError as error:
        if error.args[0].get("C") == UNDEFINED_TABLE:
            return set()
        raise NotPurged("the database does not say which objects are in use") from error
    finally:
        connection.close()
    return {key for (key,) in rows}


def _keys(store: ObjectStore) -> set[str]:
    """Of all objects that have an entry."""
    path = store.directory / "purge.meta"
    try:
        filermeta.save(store, path)
        return filermeta.keys(path)
    except (StartError, ValueError) as error:
        raise NotPurged(str(error)) from error
    finally:
        path.unlink(missing_ok=True)


def _orphans(store: ObjectStore) -> int:
    found = re.search(r"^Total\s.*\borphan:(\d+)", _fsck(store, ""), re.MULTILINE)
    if found is None:
        raise NotPurged(f"the check failed, see {store.log}")
    return int(found[1])


def _fsck(store: ObjectStore, options: str) -> str:
    try:
        output = store.shell(f"lock\nvolume.fsck -cutoffTimeAgo=1ms{options}\nunlock\n", CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotPurged("the check took too long") from None
    if not re.search(r"^total \d+ directories, \d+ files$", output, re.MULTILINE):
        raise NotPurged(f"the check failed, see {store.log}")
    return output
