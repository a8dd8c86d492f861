"""Become another program whose life is bound to the process that started it.

Run as a script with only the standard library: ``python -I -S launch.py '<json>' command...``. The
JSON says `parent` (pid; that of our starter when left out), `signal` (sent to the program when the parent has died,
however it died) and `identity` (`keep`, `namespace` or `nobody`). The process id stays the same through the exec,
so the starter's handle is a handle of the program itself.

Why a script and no `preexec_fn`: the latter runs Python between fork and exec of a process that may
have threads, and a user namespace can be entered by a single-threaded process only.
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
NOBODY = 65534
"""The unprivileged account that every Linux has; programs that look their user up find it."""


def enter_namespace() -> None:
    """Appear as nobody to the program alone (user_namespaces(7)); on disk its files belong to who we are."""
    uid, gid = os.getuid(), os.getgid()
    os.unshare(os.CLONE_NEWUSER)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        Path("/proc/self", name).write_text(line)
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def become_nobody() -> None:
    """The way out for root where user namespaces are forbidden."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def alive(pid: int) -> bool:
    """Whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def bind_to_parent(parent: int, number: int, *, prctl: bool) -> None:
    """Have `number` sent to this process once `parent` is gone.

    Linux does it in the kernel (prctl(2), PR_SET_PDEATHSIG). Elsewhere a forked watcher polls twice
    a second; the program keeps its pid because it is the watcher that is the child.
    """
    if prctl:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    else:
        target = os.getpid()
        if os.fork() == 0:
            while alive(parent) and os.getppid() == target:
                time.sleep(0.5)
            if os.getppid() == target:
                os.kill(target, number)
            os._exit(0)
    if os.getppid() != parent:  # it died before we were bound
        sys.exit(f"launch: parent {parent} is gone")


def main() -> None:
    """Apply the options and become the command."""
    starter = os.getppid()
    options = json.loads(sys.argv[1])
    command = sys.argv[2:]
    if options["identity"] == "namespace":
        enter_namespace()
    elif options["identity"] == "nobody":
        become_nobody()
    # after the change of identity, which clears the setting
    bind_to_parent(
        options.get("parent", starter), options["signal"], prctl=options.get("prctl", sys.platform == "linux")
    )
    os.execv(command[0], command)  # noqa: S606 - becoming another program is the purpose


if __name__ == "__main__":
    main()
