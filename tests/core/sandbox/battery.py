"""Every attempt of `attempts` in a fork of its own, sealed or not, and what changed outside. `python -m` prints it.

Arguments: `sealed` or `open`, and a user's number to become first. A process of its own, because the attempts are aimed
at the process that forked the child.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
from pathlib import Path

from safelight.sandbox import privileges, seal
from safelight.sandbox.profiles import PICTURE
from safelight.sandbox.wire import Limits
from tests.core.sandbox.attempts import ATTEMPTS, NOT_UNSEALED, Argument
from tests.core.sandbox.numbers import HERE, MACHINE
from tests.core.sandbox.running import become

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_PAGE, _X32_OPENAT, _PR_SET_DUMPABLE = 4096, 0x40000000 | 257, 4
# push rbx; mov eax, 20 (getpid of i386); int 0x80; pop rbx; ret
_I386_GETPID = b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3"


class Stage:
    """The folder and the file that are to stay as they are, and the memory that arguments point to."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="safelight-battery"))
        self.folder.chmod(0o777)
        self.victim = self.folder / "victim"
        self.victim.write_text("secret")
        self.victim.chmod(0o600 if os.getuid() == 0 else 0o644)
        self.parent = os.getpid()
        self.children: set[int] = set()
        self._page = mmap.mmap(-1, _PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        buffer = (ctypes.c_char * _PAGE).from_buffer(self._page)
        self._handle = ctypes.create_string_buffer(struct.pack("=Ii", 120, 0) + bytes(128))
        _libc.name_to_handle_at(-100, bytes(self.victim), self._handle, buffer, 0)
        vector = struct.pack("=QQ", ctypes.addressof(buffer), 8)
        self._known = {
            "$buffer": buffer, "$page": ctypes.c_void_p(ctypes.addressof(buffer)), "$vector": vector,
            "$handle": self._handle, "$parent": ctypes.c_long(self.parent), "$owner": struct.pack("i", self.parent),
            "$folder": bytes(self.folder),
        }  # fmt: skip
        self.program = PICTURE.program()
        self._code = mmap.mmap(-1, _PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(_I386_GETPID)

    def value(self, argument: Argument) -> object:
        """An argument as ctypes takes it."""
        if isinstance(argument, int):
            return ctypes.c_long(argument)
        if isinstance(argument, bytes):
            return argument
        if argument.startswith("$victim"):
            return bytes(self.victim) + argument.removeprefix("$victim").encode()
        return self._known[argument]

    def i386(self) -> int:
        """A system call by the 32-bit entrance."""
        entry = ctypes.CFUNCTYPE(ctypes.c_long)
        return int(entry(ctypes.addressof(ctypes.c_char.from_buffer(self._code)))())

    def outside(self) -> dict[str, object]:
        """All that an attempt might have changed."""
        mine = {str(os.getuid()), *map(str, privileges.OWN_IDS)}
        return {
            "file": self.file(),
            "folder": sorted(path.name for path in self.folder.iterdir()),
            "limits": [resource.getrlimit(number) for number in range(16)],
            "processors": sorted(os.sched_getaffinity(0)),
            "priority": [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)],
            "shared memory": [row[1] for row in rows("shm") if int(row[4]) in self.children],
            "semaphores": [row[1] for row in rows("sem") if row[4] in mine],
            "message queues": [row[1] for row in rows("msg") if row[7] in mine],
            "host": os.uname().nodename,
            "mounts": Path("/proc/self/mounts").read_text().count("\n"),
        }

    def file(self) -> list[object]:
        """All about the victim; empty when it is gone."""
        if not self.victim.exists():
            return []
        about = self.victim.stat()
        numbers = [about.st_mode, about.st_uid, about.st_mtime_ns, about.st_size, about.st_nlink]
        return [*numbers, os.listxattr(self.victim), self.victim.read_text()]

    def clean(self) -> None:
        """Remove the folder, and what attempts without a filter left in the kernel."""
        shutil.rmtree(self.folder)
        left = self.outside_ipc()
        for call, numbers in left.items():
            for number in numbers:
                _libc.syscall(ctypes.c_long(HERE[call]), *map(ctypes.c_long, (number, 0, 0, 0)))
        _libc.syscall(ctypes.c_long(HERE["mq_unlink"]), b"safelight-battery")

    def outside_ipc(self) -> dict[str, list[int]]:
        """Numbers of this run's shared memory, semaphores and message queues, by the call that removes them."""
        me = str(os.getuid())
        return {
            "shmctl": [int(row[1]) for row in rows("shm") if int(row[4]) in self.children],
            "semctl": [int(row[1]) for row in rows("sem") if row[4] == me],
            "msgctl": [int(row[1]) for row in rows("msg") if row[7] == me],
        }


def rows(kind: str) -> list[list[str]]:
    """The kernel's table of shared memory (`shm`), semaphores (`sem`) or message queues (`msg`); proc(5)."""
    return [line.split() for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]]


def attempt(stage: Stage, name: str, *, sealed: bool) -> str:
    """How it ended: an errno's name, a signal's name, or `returned …`."""
    answer, answer_end = os.pipe()
    source, source_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(stage, name, source, answer_end, sealed=sealed)
    for descriptor in (answer_end, source, source_end):
        os.close(descriptor)
    stage.children.add(pid)
    with os.fdopen(answer, "rb") as pipe:
        said = pipe.read().decode()
    end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return said or (signal.Signals(-end).name if end < 0 else f"ended with {end}")


def _child(stage: Stage, name: str, source: int, answer: int, *, sealed: bool) -> None:
    os.dup2(source, 0)
    os.dup2(answer, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.closerange(3, 1000)
    try:
        if sealed:
            seal.give_up(Limits(memory=2**31, cpu_seconds=5), stage.parent, privileges.OWN_IDS[7], required=True)
            seal.shut(stage.program, required=True)
        me = os.getpid()
        result = stage.i386() if name == I386 else _call(stage, name)
        if os.getpid() != me:
            os._exit(0)
        failed = result == -1 and name != I386
        os.write(1, errno.errorcode[ctypes.get_errno()].encode() if failed else f"returned {result}".encode())
    except BaseException as error:  # noqa: BLE001  it must not go on as the battery
        os.write(1, repr(error).encode())
    os._exit(0)


def _call(stage: Stage, name: str) -> int:
    called, *arguments = ATTEMPTS[name]
    number = _X32_OPENAT if called == "x32 openat" else HERE[called] if isinstance(called, str) else called
    return int(_libc.syscall(ctypes.c_long(number), *map(stage.value, arguments)))


I386 = "int 0x80"


def names() -> list[str]:
    """The attempts that this machine has."""
    there = [name for name, (called, *_) in ATTEMPTS.items() if isinstance(called, int) or called in HERE]
    return [*there, "x32 openat", I386] if MACHINE == "x86_64" else there


def main() -> None:
    """Print outcomes by attempt, and what changed."""
    sealed = sys.argv[1] == "sealed"
    if len(sys.argv) > 2:
        become(int(sys.argv[2]))
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its own /proc is closed to it
    stage = Stage()
    before = stage.outside()
    outcomes = {name: attempt(stage, name, sealed=sealed) for name in names() if sealed or name not in NOT_UNSEALED}
    after = stage.outside()
    changed = {what: [before[what], after[what]] for what in before if before[what] != after[what]}
    stage.clean()
    json.dump({"uid": os.getuid(), "outcomes": outcomes, "changed": changed}, sys.stdout)


if __name__ == "__main__":
    main()
