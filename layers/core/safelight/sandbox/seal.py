"""What a process gives up before it looks at hostile bytes. The order matters; each function says why.

`give_up` then `shut`. With `required`, any step that fails raises and the process must end. Without it (the platform is
the wall), each step does what the platform allows.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from . import landlock, privileges, system
from .errors import Unsealed
from .wire import Limits

_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_SET_MODE_FILTER, _TSYNC = 1, 1
_AT_FDCWD, _O_PATH = -100, 0o10000000
# Of one child, whose id no other one has. A photo needs 10, so a thread bomb only starves itself.
_THREADS = 64
_RLIMIT_SIGPENDING, _RLIMIT_RTPRIO = 11, 14  # Linux's; the resource module does not name them everywhere


def give_up(limits: Limits, parent: int, own_id: int, *, required: bool) -> int:
    """Ids (`own_id`, when root), capabilities, paths, limits. The version of Landlock that holds, 0 without. Raises
    OSError.

    Before the filter, which would refuse these calls. Landlock comes first of the limits, because it needs a
    descriptor, and `_isolate` last, because a change of ids resets what it sets (prctl(2)).
    """
    version = 0
    if sys.platform == "linux":
        _take(partial(privileges.drop, own_id), required=required)
        version = landlock.restrict()
    for number, value in _limits(limits):
        _take(partial(_lower, number, value), required=required)
    if sys.platform == "linux":
        _take(_isolate, required=required)
    if os.getppid() != parent:
        os._exit(1)  # it ended before its death could become ours
    return version


def shut(program: bytes | None, *, required: bool) -> None:
    """Allow only what `program` allows, in all threads, and see that a call it refuses fails. Raises OSError."""
    if program is None:
        if required:
            raise Unsealed("there is no filter for this machine")
        return
    _take(partial(install, program), required=required)
    if required and system.call("openat", _AT_FDCWD, b"/", _O_PATH, 0) != -errno.EPERM:
        raise Unsealed("the filter does not hold: a file could be opened")


def _take(step: Callable[[], object], *, required: bool) -> None:
    if required:
        step()
    else:
        with suppress(OSError, ValueError):
            step()


def _lower(number: int, value: int) -> None:
    """A limit that cannot be raised again; a lower one that was set from outside stays."""
    # Of processor time a second more until SIGKILL: SIGXCPU, at the soft limit, says what happened.
    hard = value + 1 if number == resource.RLIMIT_CPU else value
    _, most = resource.getrlimit(number)
    if most != resource.RLIM_INFINITY:
        value, hard = min(value, most), min(hard, most)
    resource.setrlimit(number, (value, hard))


def _limits(limits: Limits) -> list[tuple[int, int]]:
    """Number and value of each limit. Without descriptors nothing can be opened on any kernel."""
    wanted = {"RLIMIT_CPU": limits.cpu_seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 0}
    if sys.platform != "linux":
        return [(getattr(resource, name), value) for name, value in wanted.items()]
    wanted |= {"RLIMIT_AS": limits.memory, "RLIMIT_MEMLOCK": 0, "RLIMIT_MSGQUEUE": 0}
    if os.getuid() in privileges.OWN_IDS:
        # Of any other id it would count every process of the account.
        wanted["RLIMIT_NPROC"] = _THREADS
    numbered = [(getattr(resource, name), value) for name, value in wanted.items()]
    return [*numbered, (_RLIMIT_SIGPENDING, 0), (_RLIMIT_RTPRIO, 0)]


def _isolate() -> None:
    """Die with the parent; let no process of the same user read this one's memory."""
    system.demand(system.prctl(_PDEATHSIG, signal.SIGKILL), "PR_SET_PDEATHSIG")
    system.demand(system.prctl(_DUMPABLE, 0), "PR_SET_DUMPABLE")


def install(program: bytes) -> None:
    """Put this process and all its threads under a filter, for good. Raises OSError."""

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    code = ctypes.create_string_buffer(program, len(program))
    system.demand(system.prctl(_NO_NEW_PRIVS, 1), "PR_SET_NO_NEW_PRIVS")
    given = Filter(len(program) // 8, ctypes.addressof(code))
    result = system.demand(system.call("seccomp", _SET_MODE_FILTER, _TSYNC, given), "seccomp")
    if result != 0:
        raise Unsealed(f"seccomp: thread {result} could not follow")
