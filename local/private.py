"""Files and folders that only their owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from local.process import StartError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""The permission bits of group and others."""


def make_folder(path: Path) -> Path:
    """The folder with mode 0700, created with its parents when missing. Raises StartError for one of another user."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_foreign(path)
    if path.stat().st_mode & OTHERS:
        path.chmod(0o700)
    return path


def refuse_foreign(path: Path) -> None:
    """Raise StartError when the file or folder belongs to another user, even for root: that user can change it."""
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise StartError(
            f"{path} belongs to another user (id {owner}), who can read and change it. Choose another directory with "
            "SAFELIGHT_HOME, or start Safelight as that user"
        )


def is_own_folder(path: Path) -> bool:
    """Whether this is a folder of ours, no link, that other users cannot enter."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & OTHERS


def close(*tops: Path) -> None:
    """Take the permissions of group and others from everything at and below `tops`; a link below is left as it is."""
    for top in tops:
        if not top.exists():
            continue
        _close(top)
        for folder, folders, files in os.walk(top):
            for name in (*folders, *files):
                _close(Path(folder, name), follow_symlinks=False)


def write(path: Path, content: str | bytes) -> None:
    """Write a file of mode 0600 that is never visible in part: a kill or power cut leaves the old or the new one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make names that were added to or removed from the folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _close(path: Path, *, follow_symlinks: bool = True) -> None:
    mode = path.stat(follow_symlinks=follow_symlinks).st_mode
    if mode & OTHERS and not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)
