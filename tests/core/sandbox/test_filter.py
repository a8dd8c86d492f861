"""The filter's program, interpreted for every call of both machines, and compared with the list it was made of."""

import errno
import struct

import pytest

from safelight.sandbox import bpf
from safelight.sandbox.bpf import ALLOW, EINVAL, ENOSYS, EPERM, KILL, In, Rule
from safelight.sandbox.calls import AUDIT, LAST_KNOWN, NUMBERS
from safelight.sandbox.profiles import PICTURE, TRIPWIRES
from tests.core.sandbox import numbers
from tests.core.sandbox.interpreter import judge

MACHINES = sorted(AUDIT)
# All that a decoder may call, whatever the arguments, and those of which the arguments decide. Written out here too, so
# that a call is not allowed by editing one list.
ALWAYS = {
    "rt_sigprocmask", "getpid", "gettid", "munmap", "brk", "set_robust_list", "rseq", "exit", "exit_group",
    "rt_sigreturn", "restart_syscall", "sched_yield", "clock_gettime", "clock_getres", "gettimeofday",
    "clock_nanosleep", "nanosleep", "getcpu", "getrandom", "time",
}  # fmt: skip
SOMETIMES = {
    "futex": ENOSYS, "write": EPERM, "mmap": EPERM, "mprotect": EPERM, "mremap": EPERM, "madvise": EINVAL,
    "clone": EPERM, "prctl": EINVAL, "rt_sigaction": EPERM, "sched_getaffinity": EPERM,
}  # fmt: skip
ARGUMENTS = [(0,) * 6, (2**64 - 1,) * 6, (1, 2, 3, 4, 5, 6), (0xFFFFFFFF,) * 6, (100,) * 6, (1 << 32,) * 6]
I386, ARM, RISCV = 0x40000003, 0x40000028, 0xC00000F3
THREAD = 0x3D0F00


def program(machine: str) -> bytes:
    made = PICTURE.program(machine)
    assert made is not None
    return made


def answers(machine: str, name: str, *arguments: int) -> int:
    return judge(program(machine), AUDIT[machine], numbers.NUMBERS[machine][name], arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_the_kernels(machine: str) -> None:
    known = numbers.NUMBERS[machine]
    assert {name: known.get(name) for name in NUMBERS[machine]} == NUMBERS[machine]
    assert max(known.values()) == LAST_KNOWN
    lacking = set(NUMBERS["x86_64"]) - set(NUMBERS["aarch64"])
    assert lacking == {"time", "modify_ldt", "fork", "vfork"}
    header = numbers.header(machine)
    assert {name: number for name, number in known.items() if header.get(name, number) != number} == {}


@pytest.mark.parametrize("machine", MACHINES)
def test_every_number_is_answered_as_the_list_says(machine: str) -> None:
    filtered, architecture = program(machine), AUDIT[machine]
    names = {number: name for name, number in numbers.NUMBERS[machine].items()}
    for number in [*range(1024), *range(1024, bpf.X32, 1_000_003), bpf.X32 - 1]:
        name = names.get(number, "")
        found = {judge(filtered, architecture, number, arguments) for arguments in ARGUMENTS}
        if name in ALWAYS:
            assert found == {ALLOW}, name
        elif name in SOMETIMES:
            assert found <= {ALLOW, SOMETIMES[name]}, name
            assert SOMETIMES[name] in found, name
        elif name == "clone3" or number > LAST_KNOWN:
            assert found == {ENOSYS}, number
        elif name in TRIPWIRES:
            assert found == {KILL}, name
        else:
            assert found == {EPERM}, (number, name)
    there = set(numbers.NUMBERS[machine])
    assert {name for name in PICTURE.rules if name in there} == (ALWAYS | SOMETIMES.keys() | {"clone3"}) & there


@pytest.mark.parametrize("machine", MACHINES)
def test_other_entrances_end_the_process(machine: str) -> None:
    filtered, architecture = program(machine), AUDIT[machine]
    for number in range(1024):
        for marked in (number | bpf.X32, number | 0x80000000, -1 - number):
            assert judge(filtered, architecture, marked) == KILL
        for other in (I386, ARM, RISCV, 0, *(value for value in AUDIT.values() if value != architecture)):
            assert judge(filtered, other, number) == KILL


def test_there_are_55_tripwires_and_abort_is_none() -> None:
    assert len(TRIPWIRES) == len(set(TRIPWIRES)) == 55
    assert not set(TRIPWIRES) & (ALWAYS | SOMETIMES.keys() | {"tgkill"})


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_and_nothing_else_are_cloned(machine: str) -> None:
    assert answers(machine, "clone", THREAD) == ALLOW
    with_detached = THREAD | 1 << 22  # as musl starts one
    assert answers(machine, "clone", with_detached) == ALLOW
    for bit in range(32):
        if bit != 22:
            assert answers(machine, "clone", THREAD ^ 1 << bit) == EPERM, bit
            assert answers(machine, "clone", with_detached ^ 1 << bit) == EPERM, bit
    for fork in (17, 0x01200011, 0x4111, 0):
        assert answers(machine, "clone", fork) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("protection", "flags", "answer"),
    [
        (3, 0x22, ALLOW),  # a heap
        (0, 0x20022, ALLOW),  # a stack before it is used
        (0, 0x4022, ALLOW),  # without swap
        (3, 0x32, ALLOW),  # at an address
        (3, 0x100022, ALLOW),
        (3, 0x28, ALLOW),  # droppable, as getrandom of glibc 2.41 asks
        (7, 0x22, EPERM),
        (4, 0x22, EPERM),
        (5, 0x22, EPERM),
        (0x01000003, 0x22, EPERM),
        (3, 0x02, EPERM),  # of a file
        (1, 0x01, EPERM),
        (3, 0x21, EPERM),  # shared
        (3, 0x23, EPERM),
        (3, 0x40022, EPERM),  # huge
        (3, 0x2022, EPERM),  # locked
        (3, 0x8022, EPERM),  # populated
        (3, 0x122, EPERM),  # growing downwards
        (3, 0x62, EPERM),  # below 4 GiB
        (3, 0x4000022, EPERM),
    ],
)
def test_memory_is_private_anonymous_and_not_executable(machine: str, protection: int, flags: int, answer: int) -> None:
    assert answers(machine, "mmap", 0, 4096, protection, flags, -1, 0) == answer


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_of_the_others(machine: str) -> None:
    for protection in range(16):
        wanted = EPERM if protection & 4 else ALLOW
        assert answers(machine, "mprotect", 4096, 4096, protection) == wanted
    assert answers(machine, "mprotect", 4096, 4096, 0x01000001) == EPERM
    assert answers(machine, "mprotect", 4096, 4096, 0x02000001) == EPERM
    assert [flags for flags in range(16) if answers(machine, "mremap", 0, 0, 0, flags) == ALLOW] == [0, 1]
    assert [option for option in range(100) if answers(machine, "prctl", option) == ALLOW] == [15]
    assert answers(machine, "prctl", 0x53564D41) == EINVAL
    assert [pipe for pipe in range(100) if answers(machine, "write", pipe) == ALLOW] == [1, 2]
    assert [number for number in range(65) if answers(machine, "rt_sigaction", number) == ALLOW] == [
        4, 6, 7, 8, 11, 32, 33,
    ]  # fmt: skip
    assert answers(machine, "sched_getaffinity", 0) == ALLOW
    assert answers(machine, "sched_getaffinity", 1) == EPERM
    advice = {0, 1, 2, 3, 4, 8, 14, 15, 16, 102, 103}
    assert {number for number in range(256) if answers(machine, "madvise", 0, 0, number) == ALLOW} == advice
    operations = {number for number in range(1024) if answers(machine, "futex", 0, number) == ALLOW}
    assert {number & 127 for number in operations} == {0, 1, 3, 4, 5, 9, 10}
    for inheriting in (6, 7, 8, 11, 12, 13):
        for flags in (0, 128, 256, 384):
            assert answers(machine, "futex", 0, inheriting | flags) == ENOSYS
    assert answers(machine, "clone3", 1, 88) == ENOSYS


def test_a_check_compares_the_lower_half_after_its_mask() -> None:
    made = bpf.assemble(1, {7: Rule((In(1, (2, 5), 0xF), In(0, (9,))), otherwise=EINVAL)}, default=EPERM, last_known=9)

    def ask(*arguments: int) -> int:
        return judge(made, 1, 7, arguments)

    assert [ask(9, value) == ALLOW for value in (2, 5, 0x32, 1 << 32 | 5, 3, 0x13)] == [True] * 4 + [False] * 2
    assert ask(8, 2) == EINVAL
    assert ask(9, 3) == EINVAL
    assert (judge(made, 1, 8), judge(made, 1, 10)) == (EPERM, ENOSYS)


def test_errors_are_those_of_the_kernel() -> None:
    assert [value & 0xFFFF for value in (EPERM, ENOSYS, EINVAL)] == [errno.EPERM, errno.ENOSYS, errno.EINVAL]
    assert {value & 0xFFFF0000 for value in (EPERM, ENOSYS, EINVAL)} == {0x00050000}


def test_a_program_that_would_jump_too_far_is_refused() -> None:
    long = Rule((In(0, tuple(range(300))),))
    with pytest.raises(ValueError, match="too long"):
        bpf.assemble(1, {1: long}, default=EPERM, last_known=9)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_short(machine: str) -> None:
    made = program(machine)
    assert len(made) % struct.calcsize("=HBBI") == 0
    assert len(made) // struct.calcsize("=HBBI") < 300
