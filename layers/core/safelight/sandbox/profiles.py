"""Which system calls a kind of work may make.

A profile is a list of what is allowed, found by tracing the work over a large corpus; everything else is refused. To
add one, list its calls: nothing in the other modules knows what a profile is for.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from . import bpf
from .bpf import EINVAL, ENOSYS, EPERM, In, Rule
from .calls import AUDIT, LAST_KNOWN, NUMBERS

# fmt: off
TRIPWIRES = (
    "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "open_by_handle_at", "name_to_handle_at",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "userfaultfd", "keyctl", "add_key", "request_key",
    "perf_event_open", "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "fsopen", "fsconfig", "fsmount",
    "fspick", "open_tree", "move_mount", "mount_setattr", "init_module", "finit_module", "delete_module", "kexec_load",
    "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "settimeofday", "pidfd_open", "pidfd_getfd",
    "pidfd_send_signal", "process_madvise", "modify_ldt", "fork", "vfork", "kill", "tkill", "setuid", "setgid",
    "setresuid", "setresgid", "setgroups", "capset", "seccomp",
)
# fmt: on
"""Calls that no decoder ever makes: the process ends with SIGSYS, which is the sign of an attempt to break out.

tgkill is not one of them: abort(3) uses it.
"""


@dataclass(frozen=True)
class Profile:
    """Rules by the name of the call. What no rule names gets `default`; calls that a machine lacks are left out."""

    name: str
    rules: Mapping[str, Rule]
    tripwires: tuple[str, ...] = TRIPWIRES
    default: int = EPERM

    def program(self, machine: str | None = None) -> bytes | None:
        """The filter for a machine, this one by default; None for a machine whose numbers are not known."""
        machine = machine or os.uname().machine
        if machine not in NUMBERS:
            return None
        numbers = NUMBERS[machine]
        table = {numbers[name]: rule for name, rule in self.rules.items() if name in numbers}
        for name in self.tripwires:
            if name in numbers:
                table.setdefault(numbers[name], Rule(then=bpf.KILL))
        return bpf.assemble(AUDIT[machine], table, default=self.default, last_known=LAST_KNOWN)


_PROT_EXEC, _PROT_GROWSDOWN, _PROT_GROWSUP = 4, 0x01000000, 0x02000000
_NOT_EXECUTABLE = In(2, (0,), _PROT_EXEC | _PROT_GROWSDOWN | _PROT_GROWSUP)
_MAP_ANONYMOUS = 0x20
# PRIVATE, DROPPABLE, FIXED, NORESERVE, STACK, FIXED_NOREPLACE: with MAP_ANONYMOUS, all that memory is asked for by.
_MAP_ALLOWED = 0x02 | 0x08 | 0x10 | 0x4000 | 0x20000 | 0x100000
_ANONYMOUS = In(3, (_MAP_ANONYMOUS,), 0xFFFFFFFF & ~_MAP_ALLOWED)
# NORMAL to DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, GUARD_INSTALL and GUARD_REMOVE.
_ADVICE = (0, 1, 2, 3, 4, 8, 14, 15, 16, 102, 103)
_PRIVATE, _REALTIME = 128, 256
# WAIT, WAKE, WAIT_BITSET, WAKE_BITSET; then REQUEUE, CMP_REQUEUE and WAKE_OP as the C library has them.
_FUTEX = (
    *(op | flags for op in (0, 1, 9, 10) for flags in (0, _PRIVATE, _REALTIME, _REALTIME | _PRIVATE)),
    *(3 | _PRIVATE, 4 | _PRIVATE, 4, 5 | _PRIVATE),
)
# A thread, exactly as glibc and musl start one: no other flag, so no process and no namespace.
_THREAD = (0x3D0F00, 0x7D0F00)
_PR_SET_NAME = 15
_TO_SELF = 0
# ILL, ABRT, BUS, FPE, SEGV: a handler that restores the default must be able to. 32 and 33 are the C library's own.
_SIGNALS = (4, 6, 7, 8, 11, 32, 33)

PICTURE = Profile(
    "picture",
    {
        # The most frequent first: a photo makes thousands of these. glibc takes ENOSYS for "no such kernel" only.
        "futex": Rule((In(1, _FUTEX),), otherwise=ENOSYS),
        "write": Rule((In(0, (1, 2)),)),
        "rt_sigprocmask": Rule(),
        "getpid": Rule(),
        "gettid": Rule(),
        "mmap": Rule((_NOT_EXECUTABLE, _ANONYMOUS)),
        "mprotect": Rule((_NOT_EXECUTABLE,)),
        "munmap": Rule(),
        "brk": Rule(),
        "mremap": Rule((In(3, (0, 1)),)),  # MAYMOVE, or nothing
        "madvise": Rule((In(2, _ADVICE),), otherwise=EINVAL),
        "clone": Rule((In(0, _THREAD),)),
        "clone3": Rule(then=ENOSYS),  # its flags lie behind a pointer; told this, the C library takes clone
        "set_robust_list": Rule(),
        "rseq": Rule(),
        "prctl": Rule((In(0, (_PR_SET_NAME,)),), otherwise=EINVAL),
        "rt_sigaction": Rule((In(0, _SIGNALS),)),
        "exit": Rule(),
        "exit_group": Rule(),
        # Not seen while tracing; harmless, and needed after a SIGSTOP or where the clock is no vDSO.
        "rt_sigreturn": Rule(),
        "restart_syscall": Rule(),
        "sched_yield": Rule(),
        "sched_getaffinity": Rule((In(0, (_TO_SELF,)),)),
        "clock_gettime": Rule(),
        "clock_getres": Rule(),
        "gettimeofday": Rule(),
        "clock_nanosleep": Rule(),
        "nanosleep": Rule(),
        "getcpu": Rule(),
        "getrandom": Rule(),
        "time": Rule(),
    },
)
"""A child that has read its picture, decodes it in memory and writes one answer."""
