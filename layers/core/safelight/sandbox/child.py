"""One piece of work in a process of its own: sealed first, then work, then one answer."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from . import seal, system, threads
from .wire import READY, STARVED, Limits

type Work = Callable[[bytes], bytes]
"""Takes the input's bytes, gives the answer's."""

_INPUT, _ANSWER, _FIRST_FREE = 0, 1, 3
_CHUNK = 1024 * 1024


def become(
    work: Work,
    program: bytes | None,
    limits: Limits,
    parent: int,
    own_id: int,
    pipes: tuple[int, int],
    *,
    required: bool,
) -> NoReturn:
    """Turn a fresh fork into a sealed child that works on the descriptor `pipes[0]` and answers on `pipes[1]`.

    The input is read before the seal: no call that reads is on the list. An end without READY means that the child
    could not be sealed; the exit code STARVED, that work failed while no thread could be started.
    """
    try:
        settle(*pipes)
        data = _read(_INPUT)
        seal.give_up(limits, parent, own_id, required=required)
        seal.shut(program, required=required)
        os.write(_ANSWER, READY)
        write(work(data))
    except BaseException:  # noqa: BLE001  whatever it was, this process must not go on as a second warm one
        os._exit(1 if threads.available() else STARVED)
    os._exit(0)


def settle(source: int, answer: int) -> None:
    """Signals as in a fresh process; `source` and `answer` as standard input and output; no other descriptor."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # Asked to stop, it stops at once: Python would wait for a library call to come back first.
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    os.dup2(source, _INPUT)
    os.dup2(answer, _ANSWER)
    # Above all the control socket and the other children's reports.
    if system.call("close_range", _FIRST_FREE, 0xFFFFFFFF, 0) != 0:
        for descriptor in [int(name) for name in os.listdir("/dev/fd")]:  # noqa: PTH208  before Linux 5.9, and on macOS
            if descriptor >= _FIRST_FREE:
                with suppress(OSError):  # the one that the folder was listed by
                    os.close(descriptor)


def write(answer: bytes) -> None:
    """All of it, by bare write(2): a file object would ask what kind of file it has."""
    rest = memoryview(answer)
    while rest:
        rest = rest[os.write(_ANSWER, rest) :]


def _read(descriptor: int) -> bytes:
    return b"".join(iter(lambda: os.read(descriptor, _CHUNK), b""))
