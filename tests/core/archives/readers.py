"""Readers that know nothing of our writer: Python's zipfile, Info-ZIP's unzip, 7-Zip; and a naive writer."""

import os
import shutil
import struct
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from zlib import crc32

import pytest

from safelight.archives.plan import Entry, Literal, Plan

PACKAGES = {
    "unzip": "unzip",
    "7z": "p7zip-full",
    "curl": "curl",
    "wget": "wget",
    "aria2c": "aria2",
    "openssl": "openssl",
    "nginx": "nginx-light",
    "caddy": "caddy",
}
"""What Debian calls the package of each program that the tests run."""

type Read = Callable[[Entry, int, int], bytes]


def photo(name: str, data: bytes, mtime: int = 1_750_000_000) -> Entry:
    """An entry whose key is its name."""
    return Entry(name, len(data), crc32(data), mtime, f"originals/{name}", '"e"')


def assembled(plan: Plan, contents: dict[str, bytes], start: int = 0, stop: int | None = None) -> bytes:
    """Bytes of the archive, with objects taken from `contents` by key."""
    return b"".join(
        piece.data if isinstance(piece, Literal) else contents[piece.entry.key][piece.start : piece.stop]
        for piece in plan.read(start, stop)
    )


def write_sparse(plan: Plan, path: Path, contents: dict[str, bytes]) -> None:
    """The archive as a file in which objects without contents are holes."""
    with path.open("wb") as out:
        for piece in plan.read():
            if isinstance(piece, Literal):
                out.write(piece.data)
            elif piece.entry.key in contents:
                out.write(contents[piece.entry.key][piece.start : piece.stop])
            else:
                out.seek(piece.stop - piece.start, 1)


def python_accepts(path: Path, members: Iterable[str] | None = None) -> list[str]:
    """The names that zipfile finds, after reading `members` (all by default) and checking their CRC."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in names if members is None else members:
            archive.read(name)
        return names


def unzip_accepts(path: Path, *members: str) -> None:
    """`unzip -t`, of some members or all."""
    run("unzip", "-tqq", str(path), *members)


def seven_zip_accepts(path: Path, *members: str) -> str:
    """`7z t`, of some members or all; what it says."""
    return run("7z", "t", "-bd", str(path), *members)


def all_refuse(path: Path) -> None:
    """Nobody takes this file for a whole archive: not Python, not `unzip -t`, not `7z t`."""
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(path)
    for command in ("unzip", "-tqq"), ("7z", "t", "-bd"):
        done = subprocess.run([installed(command[0]), *command[1:], path], capture_output=True, check=False, timeout=60)
        assert done.returncode != 0, f"{command[0]} accepts {path}"


def installed(tool: str) -> str:
    """Where the program lies. A test without it would prove less than it says, so its absence is a failure."""
    path = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin")  # where nginx is, for ordinary users as well
    assert path is not None, f"{tool} is not installed, and the tests need it: apt-get install {PACKAGES[tool]}"
    return path


def run(tool: str, *arguments: str) -> str:
    """Run a program that has to end well; what it said."""
    command = [installed(tool), *arguments]
    # Without a UTF-8 locale unzip writes "#U0436" for a Cyrillic letter.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def naive_archive(members: list[tuple[str, bytes, int]]) -> bytes:
    """A small archive of (name, bytes, mtime) written straight from APPNOTE.TXT, field by field, all in memory."""
    body = directory = b""
    for name, data, mtime in members:
        t = time.gmtime(mtime)
        dos_time = t.tm_hour * 2048 + t.tm_min * 32 + t.tm_sec // 2
        dos_date = (t.tm_year - 1980) * 512 + t.tm_mon * 32 + t.tm_mday
        extra = b"UT" + struct.pack("<H", 5) + b"\x01" + struct.pack("<i", mtime)
        common = struct.pack(
            "<HHHHIIIHH",
            0x800,
            0,
            dos_time,
            dos_date,
            crc32(data),
            len(data),
            len(data),
            len(name.encode()),
            len(extra),
        )
        directory += b"PK\x01\x02" + struct.pack("<HH", 0x0314, 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, len(body)) + name.encode() + extra
        body += b"PK\x03\x04" + struct.pack("<H", 20) + common + name.encode() + extra + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end
