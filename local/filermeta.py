"""The object store's metadata file (`fs.meta.save`), reduced to what an S3 client sees: plain objects without rules.

The file holds messages, each after its length in four bytes: FullEntry {dir = 1, entry = 2} with Entry {name = 1,
is_directory = 2, chunks = 3, attributes = 4, extended = 5, content = 9} (SeaweedFS, filer.proto). Fields that are not
named here are dropped: hard links, remote mounts, quotas and write-once marks.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local.objectstore import ObjectStore
from local.process import StartError

_SHELL_SECONDS = 3600.0

_KEPT = re.compile(
    rb"cache-control|content-(disposition|encoding|language)|expires|key|x-amz-meta-.+|x-seaweedfs-.+|x-amz-checksum.*"
    rb"|seaweed-x-amz-(etag|multipart-.+|part.*|checksum.*|sse.*|server-side.*)|x-amz-server-side.+|x-seaweed.*sse.*",
    re.IGNORECASE,
)
"""Extended attributes that describe an object's content. All others are rules: access, locks, retention, versions."""
_VERSIONS = b".versions"
_LATEST = b"Seaweed-X-Amz-Latest-Version-File-Name"
_DELETE_MARKER = b"Seaweed-X-Amz-Delete-Marker"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(slots=True)
class _Versions:
    """The folder that holds the versions of one key."""

    latest: bytes = b""
    times: dict[bytes, int] = field(default_factory=dict)
    markers: set[bytes] = field(default_factory=set)

    def current(self, has_plain: bool) -> bytes | None:
        """See `_current_versions`. Without a pointer it is the null version, or the youngest."""
        if self.latest in self.times:
            name = self.latest
        elif has_plain or not self.times:
            return b""
        else:
            name = min(self.times, key=lambda name: (-self.times[name], name))  # version ids count down
        return None if name in self.markers else name


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder: its folder, its name, and the raw fields of its message by number."""

    folder: bytes
    name: bytes
    fields: list[tuple[int, bytes | int]]

    @classmethod
    def parse(cls, message: bytes) -> Entry:
        """Raises ValueError for a message that is cut off."""
        full = dict(_fields(message))
        folder, entry = full.get(1, b""), full.get(2, b"")
        assert isinstance(folder, bytes)
        assert isinstance(entry, bytes)
        fields = list(_fields(entry))
        name = next((value for number, value in fields if number == 1), b"")
        assert isinstance(name, bytes)
        return cls(folder, name, fields)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return (2, 1) in self.fields

    def extended(self) -> dict[bytes, bytes]:
        """Its extended attributes."""
        pairs = [dict(_fields(value)) for number, value in self.fields if number == 5 and isinstance(value, bytes)]
        return {pair.get(1, b""): pair.get(2, b"") for pair in pairs}  # type: ignore[misc]  # both are bytes

    def modified(self) -> int:
        """In seconds: FuseAttributes {mtime = 2}."""
        attributes = [value for number, value in self.fields if number == 4 and isinstance(value, bytes)]
        return int(dict(_fields(attributes[0])).get(2, 0)) if attributes else 0

    def content(self) -> tuple[bytes, bytes, tuple[bytes | int, ...]]:
        """Its folder, its name and what its bytes are: chunks, or the bytes of a small file."""
        return self.folder, self.name, tuple(value for number, value in self.fields if number in {3, 9})

    def plain(self, folder: bytes, name: bytes) -> bytes:
        """The message of this entry at another place, without rules."""
        entry = _field(1, name)
        for number, value in self.fields:
            if number in {2, 3, 4} or (number == 9 and not self.is_folder):
                entry += _field(number, value)
            elif number == 5:
                assert isinstance(value, bytes)
                attribute = dict(_fields(value)).get(1, b"")
                assert isinstance(attribute, bytes)
                if _KEPT.fullmatch(attribute):
                    entry += _field(5, value)
        return _field(1, folder) + _field(2, entry)


def save(store: ObjectStore, target: Path) -> None:
    """Write the metadata of all buckets of a running store to `target`, a path in its folder.

    Raises StartError unless it is complete.
    """
    target.unlink(missing_ok=True)
    output = run(store, f"fs.meta.save -o {target.name} /buckets")
    counted = re.search(r"^total (\d+) directories, (\d+) files$", output, re.MULTILINE)
    count = sum(1 for _ in messages(target)) if target.exists() else 0
    if counted is None or count < int(counted[1]) + int(counted[2]):
        raise StartError(f"the object store's metadata cannot be saved, see {store.log}:\n{output[-1000:]}")


def run(store: ObjectStore, script: str) -> str:
    """The output of a script of `weed shell`. Raises StartError when it does not end."""
    try:
        return store.shell(script, _SHELL_SECONDS)
    except subprocess.TimeoutExpired:
        raise StartError(f"the object store did not finish {script.split()[0]}, see {store.log}") from None


def keys(source: Path) -> set[str]:
    """The key of each object of any bucket; 3 s for 100,000. Raises ValueError when `source` is cut off."""
    found = set()
    for entry in entries(source):
        if not entry.is_folder:
            path = (entry.folder + b"/" + entry.name).decode(errors="replace")
            found.add(path.removeprefix("/buckets/").partition("/")[2])
    return found


def reduce(source: Path, target: Path) -> int:
    """Write the entries of `source` to `target`: the current version of each object and no rules. Returns how many.

    Raises ValueError when `source` is cut off.
    """
    current = _current_versions(source)
    count = 0
    with target.open("wb") as file:
        for entry in entries(source):
            place = _place(entry, current)
            if place is not None:
                message = entry.plain(*place)
                file.write(len(message).to_bytes(4) + message)
                count += 1
    return count


def entries(path: Path) -> Iterator[Entry]:
    """Every entry of the file. Raises ValueError when it is cut off."""
    return map(Entry.parse, messages(path))


def messages(path: Path) -> Iterator[bytes]:
    """Every entry's message, not parsed. Raises ValueError when the file is cut off."""
    with path.open("rb") as file:
        while length := file.read(4):
            message = file.read(int.from_bytes(length))
            if len(length) < 4 or len(message) < int.from_bytes(length):
                raise ValueError(f"{path} is cut off")
            yield message


def _place(entry: Entry, current: dict[bytes, bytes | None]) -> tuple[bytes, bytes] | None:
    """Where the entry belongs, as folder and name; None for what no client sees."""
    folder, name = entry.folder, entry.name
    path = folder + b"/" + name
    if entry.is_folder:
        return None if (path + b"/").count(_VERSIONS + b"/") else (folder, name)
    if folder in current and name == current[folder]:
        key_folder, _, key = folder.removesuffix(_VERSIONS).rpartition(b"/")
        return key_folder, key
    if _VERSIONS + b"/" in folder + b"/" or current.get(path + _VERSIONS, b"") != b"":
        return None
    return folder, name


def _current_versions(source: Path) -> dict[bytes, bytes | None]:
    """For each folder of versions the name of the version that S3 shows; None for a deleted object.

    It is empty for the object beside the folder, the null version.
    """
    versioned: dict[bytes, _Versions] = defaultdict(_Versions)
    files: set[bytes] = set()
    folders: set[bytes] = set()
    for entry in entries(source):
        path = entry.folder + b"/" + entry.name
        (folders if entry.is_folder else files).add(path)
        if entry.is_folder and entry.name.endswith(_VERSIONS):
            versioned[path].latest = entry.extended().get(_LATEST, b"")
        elif not entry.is_folder and entry.folder.endswith(_VERSIONS):
            versioned[entry.folder].times[entry.name] = entry.modified()
            if _DELETE_MARKER in entry.extended():
                versioned[entry.folder].markers.add(entry.name)
    return {
        path: found.current(path.removesuffix(_VERSIONS) in files)
        for path, found in versioned.items()
        if path.removesuffix(_VERSIONS) not in folders  # no key of ours is the name of a folder
    }


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field numbers and values; fixed-width ones, of which there are none that matter, are skipped."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif kind == _BYTES:
            size, at = _varint(message, at)
            yield number, message[at : at + size]
            at += size
        elif kind in {_FIXED32, _FIXED64}:
            at += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
    if at != len(message):
        raise ValueError("a field is cut off")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("a number is cut off")
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
