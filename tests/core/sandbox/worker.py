"""The product's side of a child that was taken over. `python -m` prints what came of each attempt.

Its arguments are a user's number to become first, and a sound picture's file. The nursery is the product's own. As a
user who cannot start Python, it forks its warm process instead of starting a program.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
from pathlib import Path

from safelight.pictures import child
from safelight.pictures.environment import environment
from safelight.pictures.errors import SandboxViolation, UnreadablePicture
from safelight.sandbox import privileges
from safelight.sandbox.nursery import Nursery
from safelight.sandbox.warm import CONTROL, REQUIRED
from safelight.sandbox.wire import Limits
from tests.core.sandbox import hostile
from tests.core.sandbox.battery import rows
from tests.core.sandbox.running import become

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE = 4


class ForkedNursery(Nursery):
    """The product's, whose warm process is a fork of this one."""

    def _spawn(self, control: socket.socket) -> int:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for descriptor in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            os.dup2(control.fileno(), CONTROL)
            os.closerange(CONTROL + 1, 1000)
            sys.argv[1:] = [REQUIRED]
            try:
                hostile.main()
            finally:
                os._exit(0)
        return pid


def nursery() -> Nursery:
    """Where hostile children come from."""
    kind = Nursery if os.access(sys.executable, os.X_OK) else ForkedNursery
    return kind("tests.core.sandbox.hostile", environment)


class Surroundings:
    """What a child could reach: a folder with a file, a port, a worker that counts signals."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="safelight-hostile"))
        self.file = self.folder / "secret"
        self.file.write_text("CANARY")
        self.signals: list[int] = []
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGIO):
            signal.signal(number, lambda number, _: self.signals.append(number))
        self.server = socket.create_server(("127.0.0.1", 0))
        self.datagrams = socket.socket(type=socket.SOCK_DGRAM)
        self.datagrams.bind(self.server.getsockname())
        handle = ctypes.create_string_buffer(struct.pack("=Ii", 120, 0) + bytes(128))
        _libc.name_to_handle_at(-100, bytes(self.file), handle, ctypes.create_string_buffer(4), 0)
        self.told = {
            "parent": os.getpid(),
            "port": self.server.getsockname()[1],
            "file": str(self.file),
            "folder": str(self.folder),
            "handle": handle.raw.hex(),
        }

    def state(self) -> dict[str, object]:
        """All of it as it is now."""
        about = self.file.stat() if self.file.exists() else None
        numbers = (about.st_mode, about.st_uid, about.st_mtime_ns, about.st_nlink) if about else ()
        users = {str(os.getuid()), *map(str, privileges.OWN_IDS)}
        self.server.setblocking(False)
        self.datagrams.setblocking(False)
        return {
            "file": [*numbers, self.file.read_text() if about else "", os.listxattr(self.file) if about else []],
            "folder": sorted(path.name for path in self.folder.iterdir()),
            # Of the child's own user: others on this machine make some of theirs.
            "shared memory": [row[1] for row in rows("shm") if int(row[7]) in privileges.OWN_IDS],
            "semaphores": [row[1] for row in rows("sem") if row[4] in users],
            "queues": [row[1] for row in rows("msg") if row[7] in users],
            "files in memory": [path.name for path in Path("/dev/shm").glob("safelight-*")],
            "connected": _arrived(self.server.accept) + _arrived(lambda: self.datagrams.recv(9)),
            "signals": self.signals,
        }


def _arrived(look: object) -> int:
    try:
        look()  # type: ignore[operator]  # any of two calls
    except BlockingIOError:
        return 0
    return 1


def attempts(home: Nursery, around: Surroundings) -> dict[str, str]:
    """How each attempt ended: `refused`, `violation`, or what it got."""
    found = {}
    for name in hostile.ATTEMPTS:
        data = json.dumps(around.told).encode() + b"|" + name.encode()
        end = home.run(data, Limits(cpu_seconds=5, wall_seconds=20))
        answer = bytes(end.raw[1:]).decode()
        found[name] = "violation" if end.violation else answer or f"ended with {end.code}"
    return found


def answers(home: Nursery, picture: bytes) -> dict[str, dict[str, object]]:
    """What the product makes of each answer, and how many bytes more than before all of them it held at most."""
    child.NURSERY = home
    found = {}
    before = _memory("VmRSS")
    for name in hostile.ANSWERS:
        Path("/proc/self/clear_refs").write_text("5")
        try:
            made = child.render(picture + b"|" + name.encode(), limits=Limits(cpu_seconds=10, wall_seconds=30))
            outcome = f"rendered {sum(len(one.data) for one in made.renditions)}"
            del made
        except SandboxViolation:
            outcome = "violation"
        except UnreadablePicture as error:
            outcome = error.reason
        found[name] = {"outcome": outcome, "grown": _memory("VmHWM") - before}
    return found


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Print everything."""
    picture = Path(sys.argv[2]).read_bytes()
    become(int(sys.argv[1]))
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its own /proc is closed to it
    around, home = Surroundings(), nursery()
    before = around.state()
    found = attempts(home, around)
    after = around.state()
    violation = _violation(home, picture)
    large = answers(home, picture)
    home.close()
    shutil.rmtree(around.folder)
    changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    result = {"uid": os.getuid(), "attempts": found, "changed": changed, "answers": large, "violation": violation}
    json.dump(result, sys.stdout)


def _violation(home: Nursery, picture: bytes) -> str:
    """What a photographer is told of a file that broke out."""
    child.NURSERY = home
    try:
        child.render(picture + b"|another program")
    except UnreadablePicture as error:
        return type(error).__name__
    return "nothing"


if __name__ == "__main__":
    main()
