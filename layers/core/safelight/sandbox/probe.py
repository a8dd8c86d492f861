"""What a platform lets a process give up, and what it lets a process do to its parent: for operators.

Nobody can read this off a provider's documentation, and it changes with its kernels.
"""

import ctypes
import errno
import os
import resource
import signal
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from . import bpf, seal, system
from .calls import AUDIT
from .profiles import PICTURE
from .proof import prove

_NO_NEW_PRIVS, _NEW_USER, _VERSION = 38, 0x10000000, 1


def probe() -> dict[str, object]:
    """The findings, as JSON has them.

    `attempts` by name: `allowed`, or the error's or the signal's name. `refusal` is why the product's sandbox does not
    hold here, None when it does; `proof` is all that was found out about it.
    """
    proof = prove(PICTURE.program(), required=True)
    about = os.uname()
    return {
        "kernel": about.release,
        "machine": about.machine,
        "uid": os.getuid(),
        "seccomp": _status("Seccomp"),
        "capabilities": _status("CapEff"),
        "attempts": {name: _forked(attempt) for name, attempt in _ATTEMPTS.items()},
        "refusal": proof.refusal,
        "proof": asdict(proof) | {"open": list(proof.open)},
    }


def _forked(attempt: Callable[[], int]) -> str:
    """How an attempt ended in a process of its own, for most of them cannot be taken back."""
    answer, answer_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result = attempt()
            os.write(answer_end, b"allowed" if result >= 0 else errno.errorcode.get(-result, str(result)).encode())
        except OSError as error:
            os.write(answer_end, errno.errorcode.get(error.errno or 0, str(error.errno)).encode())
        finally:
            os._exit(0)
    os.close(answer_end)
    with os.fdopen(answer, "rb") as pipe:
        said = pipe.read().decode()
    end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return said or (signal.Signals(-end).name if end < 0 else f"ended with {end}")


def _filter() -> int:
    """A filter that allows everything."""
    architecture = AUDIT.get(os.uname().machine, 0)
    seal.install(bpf.assemble(architecture, {}, default=bpf.ALLOW, last_known=bpf.X32))
    return 0


def _read_parent() -> int:
    # The fork has the same memory at the same addresses.
    buffer = system.buffer(8)
    vector = struct.pack("=QQ", ctypes.addressof(buffer), 8)
    return system.call("process_vm_readv", os.getppid(), vector, 1, vector, 1, 0)


def _no_descriptors() -> int:
    """Allowed when nothing can be opened any more."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    try:
        os.close(os.open("/", os.O_RDONLY))
    except OSError as error:
        return 0 if error.errno == errno.EMFILE else -(error.errno or 1)
    return -errno.EEXIST


_ATTEMPTS: dict[str, Callable[[], int]] = {
    "prctl(PR_SET_NO_NEW_PRIVS)": lambda: system.prctl(_NO_NEW_PRIVS, 1),
    "seccomp": _filter,
    "unshare(CLONE_NEWUSER)": lambda: system.call("unshare", _NEW_USER),
    "landlock_create_ruleset": lambda: system.call("landlock_create_ruleset", None, 0, _VERSION),
    "process_vm_readv of the parent": _read_parent,
    "setrlimit(RLIMIT_NOFILE, 0)": _no_descriptors,
}


def _status(field: str) -> str:
    """A line of /proc/self/status; empty where there is none."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:")), "")
