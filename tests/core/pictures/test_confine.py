"""The filter's program, run by a small interpreter: also for processors that these tests do not run on."""

import errno
import struct

import pytest

from safelight.pictures import confine

ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = ERROR | errno.EPERM, ERROR | errno.ENOSYS
HARMLESS = {"x86_64": [0, 1, 3, 9, 11, 12, 202, 231], "aarch64": [57, 63, 64, 93, 94, 98, 214, 215, 222]}


def judge(program: bytes, arch: int, number: int, argument: int = 0, second: int = 0) -> int:
    """What the kernel would answer to a call (seccomp_data: number, architecture, address, arguments)."""
    call = struct.pack("=IIQQQ", number, arch, 0, argument, second)
    steps = list(struct.iter_unpack("=HBBI", program))
    at, value = 0, 0
    while True:
        code, true, false, operand = steps[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("=I", call, operand)
        elif code == 0x06:
            return int(operand)
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += true if holds else false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter(machine: str) -> None:
    arch, _, clone, prlimit, fcntl, ioctl, denied = confine._MACHINES[machine]
    program = confine._program(arch, clone, prlimit, fcntl, ioctl, sorted(denied.values()))
    assert len(denied) == len(set(denied.values()))
    for name, number in denied.items():
        assert judge(program, arch, number) == EPERM, name
        assert judge(program, arch, number | 0x40000000) == EPERM, f"{name} under its x32 number"
    for number in HARMLESS[machine]:
        assert judge(program, arch, number) == ALLOW, number
    assert judge(program, arch, clone, 0x003D0F00) == ALLOW, "a thread, as the C library starts it"
    assert judge(program, arch, clone, 0x01200011) == EPERM, "fork, as the C library does it"
    assert prlimit == {"x86_64": 302, "aarch64": 261}[machine]
    assert judge(program, arch, prlimit, 0) == ALLOW, "limits of its own, as the C library reads and sets them"
    for process in (1, 4711, 0x80000000, 0xFFFFFFFF):
        assert judge(program, arch, prlimit, process) == EPERM, "limits of others, which can kill"
    assert judge(program, arch, prlimit | 0x40000000, 0) == EPERM
    assert (fcntl, ioctl) == {"x86_64": (72, 16), "aarch64": (25, 29)}[machine]
    for number, refused, allowed in ((fcntl, (8, 10, 15), range(5)), (ioctl, (0x8901, 0x8902), (0x5401, 0x541B))):
        for command in refused:
            assert judge(program, arch, number, 3, command) == EPERM, "who is sent a signal"
        for command in allowed:
            assert judge(program, arch, number, 8, command) == ALLOW
        assert judge(program, arch, number | 0x40000000, 3, 3) == EPERM
    assert judge(program, arch, 435) == ENOSYS
    assert judge(program, 0x40000003, 0) == KILL, "a call of another architecture"
