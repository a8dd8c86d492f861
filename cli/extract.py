"""Unpacking: nothing outside its folder, nothing over what is there, all of it or nothing."""

import contextlib
import datetime as dt
import os
import re
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from .errors import BROKEN, DISK, CommandError
from .part import beside
from .say import progress, size


def extract(archive_path: Path) -> Path:
    """Unpack beside the archive, into a folder of its name; that folder. Raises CommandError, OSError."""
    folder = archive_path.with_suffix("") if archive_path.suffix else beside(archive_path, " unpacked")
    if folder.exists():
        raise CommandError(f"{folder} is there already: the archive was not unpacked.")
    unfinished = beside(folder, ".unpacking")
    if unfinished.exists():
        shutil.rmtree(unfinished)  # what an earlier attempt left
    with zipfile.ZipFile(archive_path) as archive:
        members = [(info, unfinished / _safe(info)) for info in archive.infolist() if not info.is_dir()]
        total = sum(info.file_size for info, _ in members)
        free = shutil.disk_usage(archive_path.parent).free
        if free < total:
            raise CommandError(
                f"There is not enough room to unpack: {size(total)} are needed, {size(free)} are free.", DISK
            )
        unfinished.mkdir()
        done = 0
        with progress("Unpacking", total) as advance:
            for info, path in members:
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as member, path.open("xb") as file:
                    shutil.copyfileobj(member, file, 1024 * 1024)
                with contextlib.suppress(ValueError, OverflowError):  # a date that there never was
                    taken = dt.datetime(*info.date_time).timestamp()  # noqa: DTZ001 - a ZIP tells local time without a zone
                    os.utime(path, (taken, taken))
                done += info.file_size
                advance(done)
    unfinished.replace(folder)
    return folder


def _safe(info: zipfile.ZipInfo) -> PurePosixPath:
    """The member's place below the folder. Raises CommandError for one that would leave it."""
    path = PurePosixPath(info.filename)
    bad = path.is_absolute() or ".." in path.parts or not path.parts or re.search(r"[\\\0]|^[A-Za-z]:", info.filename)
    if bad or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise CommandError(
            f"The archive holds “{info.filename}”, which is not safe to unpack. Nothing was unpacked.", BROKEN
        )
    return path
