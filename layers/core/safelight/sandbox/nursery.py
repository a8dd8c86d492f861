"""Where children come from: starts a warm process when first needed, sees its proof, and asks it for children."""

import atexit
import logging
import os
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from . import wire
from .errors import SandboxMissing
from .proof import Proof
from .warm import CONTROL, PLATFORM, REQUIRED
from .wire import Limits

log = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0
"""After a proof that failed, before another warm process is started."""
_START_SECONDS = 60.0
_LAST_WORDS = 5.0
_CHUNK = 64 * 1024
_LONGEST_PROOF = 4096

type Environment = Callable[[list[str]], dict[str, str]]
"""The whole environment of a warm process, made of the places where Python finds modules."""


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended: exit code (negative: a signal; None: it was out of time or wrote too much), all it wrote."""

    code: int | None
    raw: bytearray

    @property
    def began(self) -> bool:
        """Whether the child was sealed and turned to its input."""
        return self.raw.startswith(wire.READY)

    @property
    def starved(self) -> bool:
        """Whether its work failed because this machine had no thread to spare."""
        return self.code == wire.STARVED

    @property
    def violation(self) -> bool:
        """Whether it was ended for a call that no honest work makes."""
        return self.began and self.code == -signal.SIGSYS


class Nursery:
    """One warm process, which runs `module`, shared by all threads.

    It is started again when it is gone, and after a fork of this process. It ends when this process does, or at
    `close`: it watches the other end of its socket. Children are killed by the kernel when the warm process ends
    (Linux) and by their limit of processor time.
    """

    def __init__(self, module: str, environment: Environment) -> None:
        self.module = module
        self.required = sys.platform == "linux"
        """Whether work is only done behind a proved seal. If not, the platform is the wall, and children apply
        every restriction that it allows."""
        self.refusal: str | None = None
        """Why the last proof failed; None when it held, or none was asked for yet."""
        self._environment = environment
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._owner = 0
        self._warm = 0
        self._started_as = True
        self._asked = 0.0

    def run(self, data: bytes, limits: Limits) -> End:
        """Feed `data` to a child of its own and wait for its end.

        Raises SandboxMissing when a seal is required and does not hold, and `OSError` when there can be no child.
        """
        answer, answer_end = os.pipe()
        report, report_end = os.pipe()
        try:
            try:
                with _anonymous_file() as source:
                    source.write(data)
                    source.seek(0)
                    request = wire.REQUEST.pack(limits.memory, limits.cpu_seconds)
                    self._ask(request, [source.fileno(), answer_end, report_end])
            finally:
                os.close(answer_end)
                os.close(report_end)
            # From here: a warm process that had to start first is no fault of the input.
            end = _attend(answer, report, time.monotonic() + limits.wall_seconds, limits.answer)
        finally:
            os.close(answer)
            os.close(report)
        if end.violation:
            log.error("sandbox_violation", extra={"work": self.module})
        return end

    def prove(self) -> None:
        """Start the warm process now, if there is none. Raises SandboxMissing, OSError."""
        with self._lock:
            if not self._runs():
                self._start()

    def close(self) -> None:
        """End the warm process. The next `run` starts another."""
        with self._lock:
            self._forget()
            self.refusal = None

    def _runs(self) -> bool:
        return self._control is not None and self._owner == os.getpid() and self._started_as == self.required

    def _ask(self, request: bytes, descriptors: list[int]) -> None:
        with self._lock:
            if self._control is not None and self._runs():
                try:
                    socket.send_fds(self._control, [request], descriptors)
                    return
                except OSError:
                    pass  # it was killed: another takes its place
            self._start()
            assert self._control is not None
            socket.send_fds(self._control, [request], descriptors)

    def _start(self) -> None:
        if self.refusal and self._started_as == self.required and time.monotonic() < self._asked + AGAIN_SECONDS:
            raise SandboxMissing(self.refusal)
        self._forget()
        self._started_as, self._asked = self.required, time.monotonic()
        with ExitStack() as on_failure:
            here, there = socket.socketpair()
            on_failure.enter_context(here)
            with there:
                self._warm = self._spawn(there)
            self._control, self._owner = here, os.getpid()
            on_failure.callback(self._forget)
            self._judge(_proof(here))
            on_failure.pop_all()
        atexit.unregister(self.close)
        atexit.register(self.close)

    def _spawn(self, control: socket.socket) -> int:
        """The number of a new warm process that has `control` as its descriptor 3."""
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-S", "-P", "-m", self.module, REQUIRED if self.required else PLATFORM],
            self._environment(sys.path),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, control.fileno(), CONTROL),
            ],
            # Ctrl-C in a terminal stops the worker, which decides; not the input that it is working on.
            setsid=True,
        )

    def _judge(self, proof: Proof) -> None:
        held = {
            "work": self.module,
            "filter": proof.profile if proof.refusal is None else "",
            "uid": proof.uid,
            "landlock": proof.landlock,
        }
        self.refusal = proof.refusal if self.required else None
        if self.refusal:
            log.error("sandbox_missing", extra=held | {"reason": self.refusal})
            raise SandboxMissing(self.refusal)
        if not self.required:
            log.warning("sandbox: the platform is the wall", extra=held | {"reason": proof.refusal})
        elif proof.uid == 0:
            log.warning("sandbox holds, but children keep the id of root, without capabilities", extra=held)
        else:
            log.info("sandbox holds", extra=held)

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
            if self._owner == os.getpid():
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(self._warm, signal.SIGKILL)
                    os.waitpid(self._warm, 0)


def _proof(control: socket.socket) -> Proof:
    """What the warm process says before it serves. Raises OSError when it ends first, or takes too long."""
    control.settimeout(_START_SECONDS)
    said = b""
    while not said.endswith(b"\n"):
        part = control.recv(_LONGEST_PROOF)
        if not part or len(said) > _LONGEST_PROOF:
            raise ConnectionError("the warm process did not start")
        said += part
    control.settimeout(None)
    return Proof.load(said)


def _attend(answer: int, report: int, deadline: float, most: int) -> End:
    pid = _record(report, deadline)
    if pid is None or pid < 0:
        raise BlockingIOError("this machine has no process to spare")
    raw, whole = _answer(answer, deadline, most)
    code = _record(report, deadline) if whole else None
    if code is None:
        # The number is still the child's: the warm process reports the end before it frees the number.
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


def _answer(pipe: int, deadline: float, most: int) -> tuple[bytearray, bool]:
    """What came before the end of the pipe, the deadline or the size limit, and whether it was the end."""
    raw = bytearray()  # grows in place: a list of parts would be there twice when they are joined
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(raw) <= most and selector.select(max(0.0, deadline - time.monotonic())):
            part = os.read(pipe, _CHUNK)
            if not part:
                return raw, True
            raw += part
    return raw, False


def _anonymous_file() -> IO[bytes]:
    """A file without a name, in memory where the system has such files."""
    create = getattr(os, "memfd_create", None)
    return os.fdopen(create("input"), "w+b") if create else tempfile.TemporaryFile()
