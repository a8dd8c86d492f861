"""Look for bytes in the files of a store, or of a whole home."""

from __future__ import annotations

import mmap
import os
from pathlib import Path


def canary() -> bytes:
    """Bytes that are nowhere else. Random: the store compresses what can be compressed, and hides it so."""
    return os.urandom(64)


def with_comment(picture: bytes, comment: bytes) -> bytes:
    """A JPEG with a comment segment after its first marker (ITU T.81, B.2.4.5)."""
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + picture[2:]


def files_with(folder: Path, needle: bytes) -> list[str]:
    """The files below the folder that contain these bytes."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if _holds(path, needle)]


def _holds(path: Path, needle: bytes) -> bool:
    try:
        if not path.is_file() or not path.stat().st_size:
            return False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return view.find(needle) >= 0
    except FileNotFoundError:  # the store removes files while it compacts
        return False
