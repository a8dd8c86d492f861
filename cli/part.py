"""A download under way: `NAME.part` with the bytes that are there, and beside it a note of what they belong to."""

import contextlib
import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import DISK, CommandError
from .say import size

if sys.platform != "win32":
    import fcntl

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Note:
    """Which archive the bytes are of. `object_etag`: the bucket's own validator, once it delivered some of them."""

    url: str
    etag: str
    size: int
    object_etag: str | None = None


class Part:
    """The open file. Its size is always the number of good bytes: nothing is buffered here."""

    def __init__(self, target: Path, file: BinaryIO) -> None:
        self.path = beside(target, ".part")
        self._note_path = beside(target, ".part.json")
        self._file = file
        self.note = self._read()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self._file.fileno()).st_size

    def start(self, note: Note) -> None:
        """Nothing is there yet, of this archive."""
        self._file.truncate(0)
        self.remember(note)

    def remember(self, note: Note) -> None:
        """Keep the note, whole or not at all."""
        new = self._note_path.with_suffix(".new")
        new.write_text(json.dumps(asdict(note)))
        new.replace(self._note_path)
        self.note = note

    def append(self, data: bytes) -> None:
        """Add bytes at the end. Raises OSError; what was written before it is kept."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def room(self, wanted: int) -> None:
        """Raises CommandError when `wanted` more bytes do not fit."""
        free = shutil.disk_usage(self.path.parent).free
        if free < wanted:
            raise CommandError(
                f"There is not enough room in {self.path.parent}: {size(wanted)} are needed, {size(free)} are free.",
                DISK,
            )

    def finish(self, target: Path) -> None:
        """The bytes are the archive's: give them its name."""
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.replace(target)
        self._note_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """The bytes are no archive."""
        self._file.close()
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def _read(self) -> Note | None:
        try:
            return Note(**json.loads(self._note_path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def beside(target: Path, ending: str) -> Path:
    """The target's path with something after its name."""
    return target.with_name(target.name + ending)


@contextlib.contextmanager
def opened(target: Path) -> Iterator[Part]:
    """The part of a target, ours alone. Raises CommandError; running out of room too."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside(target, ".part").open("ab", buffering=0) as file:
            if sys.platform != "win32":
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise CommandError(f"Another safelight is downloading {target} just now.") from None
            part = Part(target, file)
            try:
                yield part
            finally:
                if not file.closed and not part.size:
                    part.discard()  # nothing came of it
    except OSError as error:
        if error.errno in _FULL:
            kept = "What has come is kept: make room, then run the same command again."
            raise CommandError(f"The disk is full, or no larger file is allowed. {kept}", DISK) from error
        raise CommandError(f"{error.filename or target} cannot be written: {error.strerror}.", DISK) from error
