"""What a process gives up before it touches hostile bytes (Linux; elsewhere only the limits that exist there)."""

import ctypes
import errno
import os
import resource
import signal
import struct
import sys

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1

# By machine: its audit number, those of seccomp(2), clone(2), prlimit64(2), fcntl(2), ioctl(2), and of the calls no
# decoder has use for.
# Source: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of the kernel.
_X86 = {
    "open": 2, "creat": 85, "mknod": 133, "mknodat": 259, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "link": 86,
    "linkat": 265, "symlink": 88, "symlinkat": 266, "unlink": 87, "unlinkat": 263, "rename": 82, "renameat": 264,
    "renameat2": 316, "truncate": 76, "chmod": 90, "fchmodat": 268, "chown": 92, "fchownat": 260, "openat": 257,
    "openat2": 437, "mount": 165, "unshare": 272, "setns": 308, "socket": 41, "socketpair": 53, "bind": 49,
    "listen": 50, "accept": 43, "accept4": 288, "connect": 42, "fork": 57, "vfork": 58, "execve": 59,
    "execveat": 322, "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
    "pidfd_send_signal": 424, "pidfd_open": 434, "pidfd_getfd": 438, "ptrace": 101, "process_vm_readv": 310,
    "process_vm_writev": 311, "io_uring_setup": 425, "perf_event_open": 298, "bpf": 321, "userfaultfd": 323,
    "add_key": 248, "request_key": 249, "keyctl": 250, "setpriority": 141, "ioprio_set": 251,
    "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "sched_setattr": 314,
}  # fmt: skip
_ARM = {
    "mknodat": 33, "mkdirat": 34, "linkat": 37, "symlinkat": 36, "unlinkat": 35, "renameat": 38, "renameat2": 276,
    "truncate": 45, "fchmodat": 53, "fchownat": 54, "openat": 56, "openat2": 437, "mount": 40, "unshare": 97,
    "setns": 268, "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "accept4": 242,
    "connect": 203, "execve": 221, "execveat": 281, "kill": 129, "tkill": 130, "tgkill": 131,
    "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "pidfd_send_signal": 424, "pidfd_open": 434,
    "pidfd_getfd": 438, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "io_uring_setup": 425,
    "perf_event_open": 241, "bpf": 280, "userfaultfd": 282, "add_key": 217, "request_key": 218, "keyctl": 219,
    "setpriority": 140, "ioprio_set": 30, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122,
    "sched_setattr": 274,
}  # fmt: skip
_MACHINES = {
    "x86_64": (0xC000003E, 317, 56, 302, 72, 16, _X86),
    "aarch64": (0xC00000B7, 277, 220, 261, 25, 29, _ARM),
}
# What makes the kernel send signals to a process of one's choice, SIGKILL among them, when something can be read
# (F_SETOWN, F_SETSIG, F_SETOWN_EX of include/uapi/asm-generic/fcntl.h; FIOSETOWN, SIOCSPGRP of asm-generic/sockios.h).
_FCNTL_OWNERS, _IOCTL_OWNERS = (8, 10, 15), (0x8901, 0x8902)
_CLONE3, _CLONE_THREAD, _X32 = 435, 0x10000, 0x40000000


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
    """Deny this process and all its threads files, sockets, new processes, signals, others' memory and limits (EPERM).

    For use once everything needed is loaded. The environment of the parent, same user or not, cannot be read after it,
    since /proc cannot be opened. Returns False where the system has no such filter (not Linux, another processor, a
    kernel that forbids it): the limits and the empty environment hold there, too. Source: seccomp(2).
    """
    if sys.platform != "linux" or os.uname().machine not in _MACHINES:
        return False
    arch, seccomp, clone, prlimit, fcntl, ioctl, denied = _MACHINES[os.uname().machine]
    program = _program(arch, clone, prlimit, fcntl, ioctl, sorted(denied.values()))
    code = ctypes.create_string_buffer(program, len(program))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    what = Filter(len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.syscall(seccomp, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(what)) == 0)


def _program(arch: int, clone: int, prlimit: int, fcntl: int, ioctl: int, numbers: list[int]) -> bytes:
    """Classic BPF over `struct seccomp_data`: a listed number answers EPERM, so does a new process; the rest may pass.

    clone3 hides its flags behind a pointer; told that there is none, the C library takes clone to start its threads.
    prlimit64 is how the C library reads and sets limits, too: of process 0, which is the caller itself. Of fcntl and
    ioctl only what names a receiver of signals is refused.
    """
    load, equal, at_least, has_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, error = 0x7FFF0000, 0x80000000, 0x00050000
    steps = [
        (load, 0, 0, 4),
        (equal, 1, 0, arch),
        (answer, 0, 0, kill),
        (load, 0, 0, 0),
        (equal, 0, 1, _CLONE3),
        (answer, 0, 0, error | errno.ENOSYS),
        (equal, 0, 4, clone),
        (load, 0, 0, 16),
        (has_bit, 1, 0, _CLONE_THREAD),
        (answer, 0, 0, error | errno.EPERM),
        (answer, 0, 0, allow),
        (equal, 0, 4, prlimit),
        (load, 0, 0, 16),
        (equal, 1, 0, 0),
        (answer, 0, 0, error | errno.EPERM),
        (answer, 0, 0, allow),
    ]
    for number, commands in ((fcntl, _FCNTL_OWNERS), (ioctl, _IOCTL_OWNERS)):
        steps += [(equal, 0, len(commands) + 3, number), (load, 0, 0, 24)]
        steps += [(equal, len(commands) - index, 0, command) for index, command in enumerate(commands)]
        steps += [(answer, 0, 0, allow), (answer, 0, 0, error | errno.EPERM)]
    steps.append((at_least, len(numbers) + 1, 0, _X32))  # the same calls under other numbers
    steps += [(equal, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    steps += [(answer, 0, 0, allow), (answer, 0, 0, error | errno.EPERM)]
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
        # One heap that keeps what is freed: two fifths fewer pages to be faulted in, and less of them at a time. With
        # 32 MiB, the most that glibc allows, whole pictures of a phone are still given back at once.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
        "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
        "MALLOC_TOP_PAD_": str(16 * 1024**2),
        # That heap in pages of 2 MiB, where glibc (2.35 and later) and the kernel know how: an eighth of the faults.
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
