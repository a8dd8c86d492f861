"""A warm process that only forks, and what a child gives up before it looks at one picture and ends.

Loading Python and the library that opens pictures takes more processor time than a small picture does, so it happens
once. The warm process never sees a picture's bytes: it passes descriptors on. Every picture gets a fork of that
untouched state, with limits that start at zero, and nothing it does outlives it.
"""

import gc
import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from . import confine, wire

_CONTROL = 3

# Takes the picture's bytes, gives the answer's.
type Work = Callable[[bytes], bytes]


def serve(work: Work) -> None:
    """Fork a child for each request on the control socket, and report how each ends, until the socket is closed."""
    control = socket.socket(fileno=_CONTROL)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.freeze()
    reports: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == wake:
                    os.read(wake, 4096)
                elif not _fork(control, reports, work):
                    return
            _report(reports)


def _fork(control: socket.socket, reports: dict[int, int], work: Work) -> bool:
    request, descriptors, _, _ = socket.recv_fds(control, wire.REQUEST.size, 3)
    if len(request) < wire.REQUEST.size or len(descriptors) < 3:
        return False  # the product closed its end, or is gone
    picture, answer, report = descriptors
    memory, cpu_seconds = wire.REQUEST.unpack(request)
    warm = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        pid = -1
    if pid == 0:
        _become(work, warm, picture, answer, memory, cpu_seconds)
    os.close(picture)
    os.close(answer)
    with suppress(OSError):
        os.write(report, wire.RECORD.pack(pid))
    if pid > 0:
        reports[pid] = report
    else:
        os.close(report)
    return True


def _report(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        report = reports.pop(pid)
        with suppress(OSError):  # nobody waits for it any more
            os.write(report, wire.RECORD.pack(os.waitstatus_to_exitcode(status)))
        os.close(report)


def _become(work: Work, warm: int, picture: int, answer: int, memory: int, cpu_seconds: int) -> None:
    """The child: one picture, and no way back."""
    try:
        signal.set_wakeup_fd(-1)
        # Asked to stop, it stops at once: Python would wait for the decoder to come back first.
        for number in (signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(picture, 0)
        os.dup2(answer, 1)
        # Above all the control socket and the other children's reports.
        os.closerange(3, 4096)
        confine.limit(memory=memory, cpu_seconds=cpu_seconds)
        if os.getppid() != warm:
            os._exit(1)  # it ended before its death could become ours
        confine.seal()
        _look(work)
    except BaseException:  # noqa: BLE001  whatever it was, this process must not go on as a second warm one
        os._exit(1)
    os._exit(0)


def _look(work: Work) -> None:
    """Answer on stdout for the picture on stdin. An end before `wire.READY` is written is not the picture's fault."""
    with open(1, "wb", closefd=False) as out:
        out.write(wire.READY)
        out.flush()
        with open(0, "rb", closefd=False) as file:
            data = file.read()
        out.write(work(data))
