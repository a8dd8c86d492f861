"""Whether the seal holds, found out by a throwaway child that takes it on as every child does and then tries to leave.

It runs in the warm process before that serves. A kernel, a container or a debugger may accept a filter and not apply
it, so what counts is what forbidden calls answer.
"""

import errno
import hashlib
import json
import os
import signal
from dataclasses import asdict, dataclass, fields

from . import child, privileges, seal, system
from .wire import Limits

_LIMITS = Limits(cpu_seconds=5)
_AT_FDCWD, _O_PATH, _AF_UNIX, _SOCK_STREAM = -100, 0o10000000, 1, 1
_PROT_RWX, _PRIVATE_ANONYMOUS, _SIGCHLD, _RLIMIT_NOFILE = 7, 0x22, 17, 7
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Proof:
    """What the child found.

    `profile` names the filter. `error`: why the child could not be sealed; `open`: what it could do; `killed`: whether
    a tripwire ended it. `uid`, `capabilities` and `landlock` (a version, 0 without): who it was.
    """

    profile: str = ""
    error: str = ""
    open: tuple[str, ...] = ()
    killed: bool = False
    uid: int = -1
    capabilities: int = 0
    landlock: int = 0

    @property
    def refusal(self) -> str | None:
        """Why no hostile bytes may be handled behind this seal; None when it holds."""
        if self.error:
            return self.error
        if self.open:
            return f"the filter does not hold for: {', '.join(self.open)}"
        if not self.killed:
            return "the filter does not end a process that breaks out"
        if self.capabilities:
            return "the child keeps capabilities"
        return None

    def dump(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def load(cls, line: bytes) -> "Proof":
        """The proof again. Raises ValueError."""
        given = json.loads(line)
        if not isinstance(given, dict) or set(given) != {field.name for field in fields(cls)}:
            raise ValueError("not a proof")
        return cls(**given | {"open": tuple(given["open"])})


def prove(program: bytes | None, *, required: bool) -> Proof:
    """Fork the throwaway child, which takes `program` on, and wait for its end. Raises OSError without a process."""
    answer, answer_end = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _throwaway(program, parent, answer_end, required=required)
    os.close(answer_end)
    with os.fdopen(answer, "rb") as pipe:
        said = pipe.read(_LONGEST)
    end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not said:
        return Proof(error=f"the child that tries the sandbox ended with {end}")
    found = json.loads(said)
    return Proof(**found | {"open": tuple(found["open"]), "killed": end == -signal.SIGSYS})


def _throwaway(program: bytes | None, parent: int, answer: int, *, required: bool) -> None:
    found: dict[str, object] = {"open": []}
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        child.settle(null, answer)
        own_id = privileges.OWN_IDS[0]
        found["profile"] = hashlib.sha256(program or b"").hexdigest()[:12]
        found["landlock"] = seal.give_up(_LIMITS, parent, own_id, required=required)
        found |= {"uid": os.getuid(), "capabilities": _capabilities()}
        seal.shut(program, required=required)
        found["open"] = [name for name, answered in _attempts() if answered != -errno.EPERM]
    except BaseException as error:  # noqa: BLE001  it must end here, and what it was is the finding
        # An OSError's own text names the step; its number would only be in the way.
        found["error"] = getattr(error, "strerror", None) or str(error) or type(error).__name__
    child.write(json.dumps(found).encode())
    # The tripwire: from here there must be no way on.
    system.call("ptrace", 0, 0, 0, 0)
    os._exit(0)


def _attempts() -> list[tuple[str, int]]:
    """What was tried, and the result or the negated errno."""
    process = system.call("clone", _SIGCHLD, 0, 0, 0, 0)
    if process == 0:
        os._exit(0)  # it did succeed, and this is the grandchild
    return [
        ("processes", process),
        ("files", system.call("openat", _AT_FDCWD, b"/", _O_PATH, 0)),
        ("sockets", system.call("socket", _AF_UNIX, _SOCK_STREAM, 0)),
        ("code", system.call("mmap", 0, 4096, _PROT_RWX, _PRIVATE_ANONYMOUS, -1, 0)),
        ("limits", system.call("prlimit64", 0, _RLIMIT_NOFILE, 0, 0)),
        ("calls that are not on the list", system.call("fadvise64", 0, 0, 0, 0)),
    ]


def _capabilities() -> int:
    try:
        return privileges.capabilities()
    except OSError:
        return 0  # a system without them
