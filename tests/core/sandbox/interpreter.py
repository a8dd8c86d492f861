"""What the kernel would answer to a call: classic BPF over `struct seccomp_data`, also for other machines than this."""

import struct
from collections.abc import Sequence

from safelight.sandbox import bpf


def judge(program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()) -> int:
    """The filter's answer (SECCOMP_RET_*) to a call with these arguments, the others being 0."""
    given = [value & (2**64 - 1) for value in (*arguments, *[0] * (6 - len(arguments)))]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *given)
    steps = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == bpf.LOAD:
            assert operand % 4 == 0
            (value,) = struct.unpack_from("=I", data, operand)
        elif code == bpf.AND:
            value &= operand
        elif code == bpf.ANSWER:
            return int(operand)
        else:
            holds = {bpf.EQUAL: value == operand, bpf.GREATER: value > operand, bpf.AT_LEAST: value >= operand}[code]
            at += yes if holds else no
