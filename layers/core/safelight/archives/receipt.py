"""`SHA256SUMS.txt`: the receipt inside an archive, in the format that `sha256sum -c` reads."""

from collections.abc import Iterable
from zlib import crc32

from safelight.archives.plan import Entry

RECEIPT = "SHA256SUMS.txt"


def receipt(entries: Iterable[Entry]) -> Entry:
    """A member that lists the SHA-256 of the others, dated like the newest of them.

    Its names must be safe already (`names.safe_names`): a line of this format cannot hold a line break.
    Raises ValueError when an entry has no SHA-256, because a receipt with gaps would prove nothing.
    """
    lines, newest = [], 0
    for entry in entries:
        if not entry.sha256:
            raise ValueError(f"{entry.name!r} has no SHA-256")
        lines.append(f"{entry.sha256}  {entry.name}\n")
        newest = max(newest, entry.mtime)
    data = "".join(lines).encode()
    return Entry(RECEIPT, len(data), crc32(data), newest, data=data)
