"""What a process gives up before it touches hostile bytes (Linux; elsewhere only the limits that exist there)."""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1

# audit architecture, seccomp(2)'s own number, and the calls a decoder has no use for, by machine. Numbers are from the
# kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_X86 = {
    "open": 2, "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "fork": 57,
    "vfork": 58, "execve": 59, "kill": 62, "creat": 85, "unlink": 87, "rename": 82, "ptrace": 101, "openat": 257,
    "unlinkat": 263, "accept4": 288, "process_vm_readv": 310, "process_vm_writev": 311, "execveat": 322,
    "io_uring_setup": 425, "pidfd_open": 434, "openat2": 437, "pidfd_getfd": 438,
}  # fmt: skip
_ARM = {
    "unlinkat": 35, "openat": 56, "ptrace": 117, "kill": 129, "socket": 198, "socketpair": 199, "bind": 200,
    "listen": 201, "accept": 202, "connect": 203, "execve": 221, "accept4": 242, "process_vm_readv": 270,
    "process_vm_writev": 271, "execveat": 281, "io_uring_setup": 425, "pidfd_open": 434, "openat2": 437,
    "pidfd_getfd": 438,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, 317, _X86), "aarch64": (0xC00000B7, 277, _ARM)}


def limit(*, memory: int, cpu_seconds: int) -> None:
    """Cap this process: address space in bytes, CPU seconds, no file written, no core dump; die with the parent."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def seal() -> bool:
    """Deny this process, in all its threads, new files, sockets, programs and the memory of others (EPERM).

    For use once everything needed is loaded. The environment of the parent, same user or not, cannot be read after it,
    since /proc cannot be opened. Returns False where the system has no such filter (not Linux, another processor, a
    kernel that forbids it): the limits and the empty environment hold there, too. Source: seccomp(2).
    """
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    arch, seccomp, denied = _MACHINES[platform.machine()]
    program = _program(arch, sorted(denied.values()))
    code = ctypes.create_string_buffer(program, len(program))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    what = Filter(len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.syscall(seccomp, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(what)) == 0)


def _program(arch: int, numbers: list[int]) -> bytes:
    """Classic BPF: another architecture is killed, a listed number answers EPERM, the rest is allowed."""
    load, equal, answer = 0x20, 0x15, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
    count = len(numbers)
    steps = [(load, 0, 0, 4), (equal, 1, 0, arch), (answer, 0, 0, kill), (load, 0, 0, 0)]
    steps += [(equal, count - index, 0, number) for index, number in enumerate(numbers)]
    steps += [(answer, 0, 0, allow), (answer, 0, 0, refuse)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def environment(path: list[str]) -> dict[str, str]:
    """The whole environment of a child: where Python finds its modules, libvips' safety switches, no secret."""
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return inherited | {
        "PYTHONPATH": os.pathsep.join(entry for entry in path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "VIPS_BLOCK_UNTRUSTED": "1",
        "VIPS_CONCURRENCY": "1",
        # Never spill into a file: the address space is the limit.
        "VIPS_DISC_THRESHOLD": "4g",
        "MALLOC_ARENA_MAX": "2",
    }
