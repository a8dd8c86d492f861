"""`render` behind a process wall: a hostile file costs one child, never the worker.

A fresh Python per picture instead of a pool: no state survives from one upload to the next, and every limit starts at
zero. The child (`inside`) gets the file on stdin and answers on stdout (`wire`). It has no credentials in its
environment, writes no file, and once its libraries are loaded can open neither a file nor a socket (`confine`).
"""

import hashlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from typing import IO

from . import facts, wire
from .confine import environment
from .errors import PicturesUnavailable, UnreadablePicture
from .types import Rendered

_TOO_LONG = "This photo takes too long to open. Export it again as an ordinary JPEG and upload the new file."
_CRASHED = (
    "This photo is damaged, or needs more memory than a photo should: the program that opens it had to stop. "
    "Export it again from the original and upload the new file."
)
# Asked to stop by the system or by a person, not brought down by the picture.
_STOPPED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may use: `memory` bytes of address space, `cpu_seconds`, `wall_seconds` from start to answer."""

    memory: int = 1024**3
    cpu_seconds: int = 40
    wall_seconds: float = 60.0


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class _End:
    """How a child ended: exit code (negative: a signal; None: out of time) and all it wrote."""

    code: int | None
    raw: bytes

    @property
    def began(self) -> bool:
        """Whether the child had started up and turned to the picture."""
        return self.raw.startswith(wire.READY)


def render(data: bytes, content_type: str | None = None, *, limits: Limits = LIMITS) -> Rendered:
    """Renditions and facts of an uploaded picture, made in a child process of its own.

    The file is first judged by its header here (`facts.inspect`). Raises `UnreadablePicture` (do not retry) when the
    file is refused, damaged, crashes the decoder or goes over a limit, and `PicturesUnavailable` (retry) when this
    machine could not start a child, or somebody stopped it.
    """
    facts.inspect(data, content_type)
    try:
        end = _run(data, limits)
        if end.code == -signal.SIGKILL:
            # Not by us: the kernel's out-of-memory killer, or an operator. A sound picture gets a second chance.
            end = _run(data, limits)
    except (OSError, MemoryError) as error:
        raise PicturesUnavailable from error
    if not end.began or (end.code is not None and -end.code in _STOPPED):
        raise PicturesUnavailable
    if end.code is None or end.code == -signal.SIGXCPU:
        raise UnreadablePicture(_TOO_LONG)
    if end.code != 0:
        raise UnreadablePicture(_CRASHED)
    try:
        answer = wire.load(end.raw, sha256=hashlib.sha256(data).hexdigest(), crc32=zlib.crc32(data))
    except wire.Garbled as error:
        raise UnreadablePicture(_CRASHED) from error
    if isinstance(answer, str):
        raise UnreadablePicture(answer)
    return answer


def _run(data: bytes, limits: Limits) -> _End:
    deadline = time.monotonic() + limits.wall_seconds
    with _anonymous_file() as stdin:
        stdin.write(data)
        stdin.seek(0)
        child = subprocess.Popen(  # noqa: S603  a fixed command: our own interpreter and module, and two numbers
            [sys.executable, "-S", "-P", "-m", f"{__package__}.inside", str(limits.memory), str(limits.cpu_seconds)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(sys.path),
            # Ctrl-C in a terminal stops the worker, which decides; not the picture that it is working on.
            start_new_session=True,
        )
    with child:
        raw = b""
        try:
            if child.stdout is not None:
                raw, whole = _read(child.stdout, deadline)
                if whole:
                    return _End(child.wait(max(0.1, deadline - time.monotonic())), raw)
        except subprocess.TimeoutExpired:
            pass  # it closed its output and goes on: as good as hung
        finally:
            if child.poll() is None:
                child.kill()
        return _End(None, raw)


def _anonymous_file() -> IO[bytes]:
    """A file without a name, in memory where the system has such files."""
    create = getattr(os, "memfd_create", None)
    return os.fdopen(create("picture"), "w+b") if create else tempfile.TemporaryFile()


def _read(pipe: IO[bytes], deadline: float) -> tuple[bytes, bool]:
    """What came before the end of the pipe, the deadline or the size limit, and whether it was the end."""
    parts: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while size <= wire.MAX_BYTES and selector.select(max(0.0, deadline - time.monotonic())):
            part = os.read(pipe.fileno(), _CHUNK)
            if not part:
                return b"".join(parts), True
            parts.append(part)
            size += len(part)
    return b"".join(parts), False
