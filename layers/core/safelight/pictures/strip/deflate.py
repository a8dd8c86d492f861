"""Where a compressed stream ends: zlib, RFC 1950. Bytes behind its end belong to nobody."""

import zlib
from collections.abc import Iterable

_STEP = 1 << 20


def used(parts: Iterable[bytes], limit: int) -> int:
    """How many bytes of these, one after the other, are the stream; all of them where it does not end.

    Raises ValueError for another thing than a stream, and for one of more than `limit` bytes when unpacked.
    """
    unpack = zlib.decompressobj()
    taken = unpacked = 0
    for part in parts:
        rest = part
        while rest and not unpack.eof:
            try:
                unpacked += len(unpack.decompress(rest, _STEP))
            except zlib.error as error:
                raise ValueError("not a compressed stream") from error
            if unpacked > limit:
                raise ValueError("more than a picture in its place")
            rest = unpack.unconsumed_tail
        taken += len(part) - len(unpack.unused_data)
        if unpack.eof:
            break
    return taken
