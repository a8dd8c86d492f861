"""The photos of a set, described so shortly that each server makes its entries by itself, however many they are."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zlib import crc32

from safelight.archives.plan import Entry, Plan, plan
from safelight.archives.receipt import receipt

DISTINCT = 12  # objects on disk per set; more photos repeat them, all of it is in the page cache either way
MTIME = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Photos:
    """`count` photos of `size` bytes each; `kinds` are the objects that they repeat: (key, CRC-32, ETag)."""

    count: int
    size: int
    kinds: list[tuple[str, int, str]]

    @classmethod
    def write(cls, bucket: Path, name: str, count: int, size: int) -> Self:
        """Put the objects into the folder that nginx serves as the bucket."""
        folder = f"originals/{name:-<36}/0192f0c1-7a3b-7c5d-8e9f-a0b1c2d3e4f5"  # as long as the keys of a real store
        (bucket / folder).mkdir(parents=True)
        kinds = []
        for number in range(min(DISTINCT, count)):
            data, key = os.urandom(size), f"{folder}/{number}.jpg"
            path = bucket / key
            path.write_bytes(data)
            kinds.append((key, crc32(data), f'"{int(path.stat().st_mtime):x}-{size:x}"'))  # the ETag that nginx gives
        return cls(count, size, kinds)

    def entries(self) -> list[Entry]:
        """One for each photo, with strings of its own, as rows of a database give them."""
        entries = []
        for number in range(self.count):
            key, crc, etag = self.kinds[number % len(self.kinds)]
            name, own_key, own_etag = f"IMG_{number:06}.jpg", "".join([*key]), "".join([*etag])
            entries.append(Entry(name, self.size, crc, MTIME, own_key, own_etag, sha256=f"{number:064x}"))
        return entries

    def plan(self) -> Plan:
        """The layout of the archive as the product makes it, with its receipt."""
        entries = self.entries()
        return plan([*entries, receipt(entries)])


def save(sets: dict[str, Photos], path: Path) -> None:
    """Write the description of the sets."""
    path.write_text(json.dumps({name: [photos.count, photos.size, photos.kinds] for name, photos in sets.items()}))


def load(path: Path) -> dict[str, Photos]:
    """What `save` has written."""
    described = json.loads(path.read_text())
    return {name: Photos(count, size, kinds) for name, (count, size, kinds) in described.items()}
