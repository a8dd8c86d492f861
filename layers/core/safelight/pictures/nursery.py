"""Where the children come from: starts a warm process (`warm`) when first needed and asks it for children."""

import atexit
import os
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from . import wire
from .confine import environment

_CHUNK = 1024 * 1024
_LAST_WORDS = 5.0


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended: exit code (negative: a signal; None: it was out of time) and all it wrote."""

    code: int | None
    raw: bytes

    @property
    def began(self) -> bool:
        """Whether the child had taken its limits on and turned to the picture."""
        return self.raw.startswith(wire.READY)


class Nursery:
    """One warm process, which runs `module` of this room, shared by all threads.

    It is started again when it is gone, and after a fork of this process.

    The warm process ends when this one does, or at `close`: it watches the other end of its socket. Children are killed
    by the kernel when the warm process ends (Linux) and by their limit of processor time.
    """

    def __init__(self, module: str = "inside") -> None:
        self._module = f"{__package__}.{module}"
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._owner = 0
        self._warm = 0

    def run(self, data: bytes, *, memory: int, cpu_seconds: int, wall_seconds: float) -> End:
        """Feed `data` to a child of its own and wait for its end. Raises `OSError` when there can be no child."""
        deadline = time.monotonic() + wall_seconds
        answer, answer_end = os.pipe()
        report, report_end = os.pipe()
        try:
            try:
                with _anonymous_file() as picture:
                    picture.write(data)
                    picture.seek(0)
                    self._ask(wire.REQUEST.pack(memory, cpu_seconds), [picture.fileno(), answer_end, report_end])
            finally:
                os.close(answer_end)
                os.close(report_end)
            return _attend(answer, report, deadline)
        finally:
            os.close(answer)
            os.close(report)

    def close(self) -> None:
        """End the warm process. The next `run` starts another."""
        with self._lock:
            self._forget()

    def _ask(self, request: bytes, descriptors: list[int]) -> None:
        with self._lock:
            if self._control is not None and self._owner == os.getpid():
                try:
                    socket.send_fds(self._control, [request], descriptors)
                    return
                except OSError:
                    pass  # it was killed: another takes its place
            self._forget()
            self._start()
            assert self._control is not None
            socket.send_fds(self._control, [request], descriptors)

    def _start(self) -> None:
        with ExitStack() as on_failure:
            here, there = socket.socketpair()
            on_failure.enter_context(here)
            with there:
                self._warm = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-S", "-P", "-m", self._module],
                    environment(sys.path),
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_DUP2, there.fileno(), 3),
                    ],
                    # Ctrl-C in a terminal stops the worker, which decides; not the picture that it is working on.
                    setsid=True,
                )
            on_failure.pop_all()
        self._control, self._owner = here, os.getpid()
        atexit.unregister(self.close)
        atexit.register(self.close)

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
            if self._owner == os.getpid():
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(self._warm, signal.SIGKILL)
                    os.waitpid(self._warm, 0)


def _attend(answer: int, report: int, deadline: float) -> End:
    pid = _record(report, deadline)
    if pid is None or pid < 0:
        raise BlockingIOError("this machine has no process to spare")
    raw, whole = _answer(answer, deadline)
    code = _record(report, deadline) if whole else None
    if code is None:
        # Still ours to kill: the number is free for others only after the exit code has been sent.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _record(report, time.monotonic() + _LAST_WORDS)
    return End(code, raw)


def _record(pipe: int, deadline: float) -> int | None:
    """The next number on the pipe; None when the deadline passed."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            return None
    record = os.read(pipe, wire.RECORD.size)
    if len(record) < wire.RECORD.size:
        raise ConnectionError("the warm process is gone")
    return int(wire.RECORD.unpack(record)[0])


def _answer(pipe: int, deadline: float) -> tuple[bytes, bool]:
    """What came before the end of the pipe, the deadline or the size limit, and whether it was the end."""
    parts: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while size <= wire.MAX_BYTES and selector.select(max(0.0, deadline - time.monotonic())):
            part = os.read(pipe, _CHUNK)
            if not part:
                return b"".join(parts), True
            parts.append(part)
            size += len(part)
    return b"".join(parts), False


def _anonymous_file() -> IO[bytes]:
    """A file without a name, in memory where the system has such files."""
    create = getattr(os, "memfd_create", None)
    return os.fdopen(create("picture"), "w+b") if create else tempfile.TemporaryFile()


NURSERY = Nursery()
