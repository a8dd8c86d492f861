"""Look for bytes in the files of an object store."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from local.objectstore import ObjectStore


def canary() -> bytes:
    """Bytes that are nowhere else. Random: the store compresses what can be compressed, and hides it so."""
    return os.urandom(64)


def files_with(store: ObjectStore, needle: bytes) -> list[str]:
    """The files below the store's folder that contain these bytes."""
    return [str(path.relative_to(store.directory)) for path in store.directory.rglob("*") if _holds(path, needle)]


def _holds(path: Path, needle: bytes) -> bool:
    try:
        if not path.is_file() or not path.stat().st_size:
            return False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return view.find(needle) >= 0
    except FileNotFoundError:  # the store removes files while it compacts
        return False
