"""Files and folders that only their owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""The permission bits of group and others."""


def make_folder(path: Path) -> Path:
    """The folder with mode 0700, created with its parents when missing. A folder of another user raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & OTHERS:
        path.chmod(0o700)
    return path


def write(path: Path, content: str | bytes) -> None:
    """Write a file of mode 0600 that is never visible in part: a kill leaves the old content or the new one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    draft.rename(path)
