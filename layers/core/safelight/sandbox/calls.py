"""Numbers of the system calls that this package names, on x86-64 and aarch64.

Sources: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.18.
"""

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* of include/uapi/linux/audit.h: how a filter recognises its own machine."""

LAST_KNOWN = 469
"""The highest number that the profiles were written for (file_setattr). A C library takes ENOSYS for any later number
as an older kernel and goes another way."""

_NONE = "-"
_TABLE = """
write 1 64|mmap 9 222|mprotect 10 226|munmap 11 215|brk 12 214|mremap 25 216|madvise 28 233
rt_sigaction 13 134|rt_sigprocmask 14 135|rt_sigreturn 15 139|restart_syscall 219 128|futex 202 98
clone 56 220|clone3 435 435|set_robust_list 273 99|rseq 334 293|prctl 157 167|getpid 39 172|gettid 186 178
exit 60 93|exit_group 231 94|sched_yield 24 124|sched_getaffinity 204 123|getrandom 318 278|getcpu 309 168
clock_gettime 228 113|clock_getres 229 114|clock_nanosleep 230 115|nanosleep 35 101|gettimeofday 96 169|time 201 -
execve 59 221|execveat 322 281|ptrace 101 117|process_vm_readv 310 270|process_vm_writev 311 271
open_by_handle_at 304 265|name_to_handle_at 303 264
io_uring_setup 425 425|io_uring_enter 426 426|io_uring_register 427 427|bpf 321 280|userfaultfd 323 282
keyctl 250 219|add_key 248 217|request_key 249 218|perf_event_open 298 241
mount 165 40|umount2 166 39|pivot_root 155 41|chroot 161 51|unshare 272 97|setns 308 268
fsopen 430 430|fsconfig 431 431|fsmount 432 432|fspick 433 433|open_tree 428 428|move_mount 429 429
mount_setattr 442 442|init_module 175 105|finit_module 313 273|delete_module 176 106
kexec_load 246 104|kexec_file_load 320 294|reboot 169 142|swapon 167 224|swapoff 168 225|acct 163 89
settimeofday 164 170|pidfd_open 434 434|pidfd_getfd 438 438|pidfd_send_signal 424 424|process_madvise 440 440
modify_ldt 154 -|fork 57 -|vfork 58 -|kill 62 129|tkill 200 130|setuid 105 146|setgid 106 144
setresuid 117 147|setresgid 119 149|setgroups 116 159|capset 126 91|seccomp 317 277
capget 125 90|close_range 436 436|openat 257 56|socket 41 198|prlimit64 302 261|fadvise64 221 223
landlock_create_ruleset 444 444|landlock_restrict_self 446 446
"""


def _column(place: int) -> dict[str, int]:
    rows = (entry.split() for entry in _TABLE.replace("\n", "|").split("|") if entry)
    return {row[0]: int(row[place]) for row in rows if row[place] != _NONE}


NUMBERS = {"x86_64": _column(1), "aarch64": _column(2)}
"""By machine, as `uname -m` names it: the number of each call that the machine has."""
