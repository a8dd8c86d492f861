"""Is this file the whole archive, and the one that the server has? Every member is read, and its CRC-32 compared."""

import zipfile
import zlib
from pathlib import Path

from .say import progress

PIECE = 1024 * 1024
RECEIPT = "SHA256SUMS.txt"  # not a photo, so not told in a manifest; what it says follows from the photos


def damage(path: Path, expected: int) -> str | None:
    """What is wrong with an archive of `expected` bytes, None if nothing is. Raises OSError."""
    if path.stat().st_size != expected:
        return "its length is wrong"
    name, done = "", 0
    try:
        with zipfile.ZipFile(path) as archive, progress("Checking", expected) as advance:
            for info in archive.infolist():
                name = info.filename
                with archive.open(info) as member:
                    while piece := member.read(PIECE):
                        done += len(piece)
                        advance(done)
    # A flipped bit may also say "encrypted", which zipfile refuses with RuntimeError, or name a method of compression
    # or a version of the format that it does not know: NotImplementedError.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        return f"“{name}” is damaged" if name else f"it is no ZIP archive ({error})"
    return None


def outdated(path: Path, manifest: list[tuple[str, int, int]]) -> bool:
    """Whether an undamaged archive does not hold the photos (name, bytes, CRC-32) of this manifest, in its order."""
    with zipfile.ZipFile(path) as archive:
        held = [(info.filename, info.file_size, info.CRC) for info in archive.infolist() if info.filename != RECEIPT]
    return held != manifest
