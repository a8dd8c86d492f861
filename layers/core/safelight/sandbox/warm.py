"""A warm process, which proves the seal once and then only forks.

Loading Python and a library that opens files takes more processor time than a small file does, so it happens once. The
warm process never sees an input's bytes: it passes descriptors on. Every input gets a fork of that untouched state,
with limits that start at zero, and nothing a child does outlives it.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from . import privileges, wire
from .child import Work, become
from .profiles import Profile
from .proof import prove

CONTROL = 3
"""The descriptor of the socket on which the product asks for children."""
REQUIRED, PLATFORM = "required", "platform"
"""The one argument of the process: whether its children must be sealed, or take what the platform allows."""


@dataclass
class _Warm:
    control: socket.socket
    work: Work
    program: bytes | None
    required: bool
    running: dict[int, "_Running"] = field(default_factory=dict)
    """By the number of the child's process."""
    first: int = field(default_factory=lambda: int.from_bytes(os.urandom(8)) % len(privileges.OWN_IDS))
    """Where its children's ids begin: at random, so that the warm processes of a machine rarely give the same."""

    def free_id(self) -> int:
        """The user id of the next child: one that no child of this process has. Raises OSError."""
        taken = {child.own_id for child in self.running.values()}
        for place in range(len(privileges.OWN_IDS)):
            own_id = privileges.OWN_IDS[(self.first + place) % len(privileges.OWN_IDS)]
            if own_id not in taken:
                return own_id
        raise BlockingIOError("no user id is left")


@dataclass(frozen=True, slots=True)
class _Running:
    """A child that runs: its user id when root, and where its end is reported."""

    own_id: int
    report: int


def serve(work: Work, profile: Profile) -> None:
    """Prove the seal and say what came of it; then fork a child for each request on the control socket, and report how
    each ends, until the socket is closed. Where the seal is required and does not hold, no child is forked."""
    required = sys.argv[1:] != [PLATFORM]
    control = socket.socket(fileno=CONTROL)
    if sys.platform == "linux":
        privileges.drop_bounding_set()
    program = profile.program()
    proof = prove(program, required=required)
    control.sendall(proof.dump())
    if required and proof.refusal:
        return
    gc.freeze()
    _serve(_Warm(control, work, program, required))


def _serve(warm: _Warm) -> None:
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(warm.control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == wake:
                    os.read(wake, 4096)
                elif not _fork(warm):
                    return
            _report(warm.running)


def _fork(warm: _Warm) -> bool:
    request, descriptors, _, _ = socket.recv_fds(warm.control, wire.REQUEST.size, 3)
    if len(request) < wire.REQUEST.size or len(descriptors) < 3:
        return False  # the product closed its end, or is gone
    source, answer, report = descriptors
    memory, cpu_seconds = wire.REQUEST.unpack(request)
    limits = wire.Limits(memory=memory, cpu_seconds=cpu_seconds)
    parent = os.getpid()
    try:
        own_id = warm.free_id()
        pid = os.fork()
    except OSError:
        own_id, pid = -1, -1
    if pid == 0:
        become(warm.work, warm.program, limits, parent, own_id, (source, answer), required=warm.required)
    os.close(source)
    os.close(answer)
    with suppress(OSError):
        os.write(report, wire.RECORD.pack(pid))
    if pid > 0:
        warm.running[pid] = _Running(own_id, report)
    else:
        os.close(report)
    return True


def _report(running: dict[int, _Running]) -> None:
    """Report the end of each child, then free its number: until the report, the product may kill it by number."""
    while running:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if not ended:
            return
        child = running.pop(ended.si_pid)
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        with suppress(OSError):  # the product closed its end
            os.write(child.report, wire.RECORD.pack(code))
        os.close(child.report)
        os.waitpid(ended.si_pid, 0)
