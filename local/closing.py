"""Close a home whose object store an earlier version left open: every user of the machine had its keys.

Each step may be repeated, and the mark that says it is done is made last, so a kill at any point begins it again.
Replaced files cannot be told apart from the owner's.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from local import filermeta, orphans, private
from local.home import Home
from local.objectstore import ObjectStore
from local.process import StartError

_LOADED_SECONDS = 2


def is_needed(home: Home) -> bool:
    """Whether the home holds a store that was never closed. A home without a store is marked as closed."""
    if _mark(home).exists():
        return False
    if any((home.directory / "objects" / "data").glob("*")):
        return True
    finish(home)
    return False


def remove_rules(home: Home, store: ObjectStore) -> None:
    """Before the store serves anyone: give it new keys, and remove what others can have put into its settings.

    Others could add identities, roles, remote mounts and rules of paths, and set policies, access lists, versions,
    locks and encryption of buckets and objects. S3 obeys those, also when it is asked to remove them. So the store's
    database of names is built again, from its buckets' folders and objects alone; of each object the current version
    stays. The bytes of all others become orphans, which the start that follows removes.

    Raises StartError when the new database lacks something of the old one, which is then in use again.
    """
    secrets = home.renew_store_keys()
    store.access_key, store.secret_key = secrets.access_key, secrets.secret_key
    database, old = store.data / "filerldb2", store.directory / "filer.old"
    if old.exists():  # a kill: the new one is not known to be complete
        shutil.rmtree(database, ignore_errors=True)
        old.rename(database)
    if not database.exists():
        return
    saved, reduced = store.directory / "saved.meta", store.directory / "reduced.meta"
    _save(store, saved)
    filermeta.reduce(saved, reduced)
    database.rename(old)
    _load(store, reduced, saved)
    missing = _contents(reduced) - _contents(saved)
    if missing:
        raise StartError(
            f"{len(missing)} of the object store's entries could not be kept when its settings were reset, so it stays "
            f"as it was. See {store.log}, then start again"
        )
    (store.directory / orphans.SUSPECTED).touch(0o600)
    os.sync()
    done = old.with_name("filer.done")
    shutil.rmtree(done, ignore_errors=True)
    old.rename(done)  # removed in part it must not be taken for the whole
    shutil.rmtree(done)
    saved.unlink()
    reduced.unlink()


def finish(home: Home) -> None:
    """Note that the home is closed."""
    os.sync()
    private.write(_mark(home), "The object store was closed to other users of this machine.\n")


def _mark(home: Home) -> Path:
    return home.directory / "closed"


def _save(store: ObjectStore, target: Path) -> None:
    """Write the metadata of all buckets to `target`. Raises StartError unless it is complete."""
    store.start(s3=False)
    try:
        filermeta.save(store, target)
    finally:
        store.stop()


def _load(store: ObjectStore, source: Path, check: Path) -> None:
    """Fill the store's empty database from `source`, and write what it holds then to `check`."""
    store.start(s3=False)
    try:
        if source.stat().st_size:
            # It says that it is done while the last entry is on its way, and the shell's end would cut that off.
            filermeta.run(store, f"fs.meta.load -v=false {source.name}\nsleep {_LOADED_SECONDS}")
            filermeta.save(store, check)
        else:
            check.write_bytes(b"")
    finally:
        store.stop()


def _contents(path: Path) -> set[tuple[bytes, bytes, tuple[bytes | int, ...]]]:
    return {entry.content() for entry in filermeta.entries(path)}
