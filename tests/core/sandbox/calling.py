"""Every system call number from 0 to 1023, made for real in a sealed fork each. `python -m` prints the answers."""

import ctypes
import errno
import json
import os
import signal
import sys

from safelight.sandbox import bpf, privileges, seal
from safelight.sandbox.calls import AUDIT
from safelight.sandbox.profiles import PICTURE
from safelight.sandbox.wire import Limits
from tests.core.sandbox import numbers
from tests.core.sandbox.interpreter import judge

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def answer(program: bytes, number: int) -> str:
    """An errno's or a signal's name, or `returned …`, of one call whose arguments are all 0."""
    pipe, pipe_end = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.dup2(pipe_end, 1)
        try:
            seal.give_up(Limits(memory=2**31, cpu_seconds=5), parent, privileges.OWN_IDS[7], required=True)
            seal.shut(program, required=True)
            result = _libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
            os.write(1, (errno.errorcode[ctypes.get_errno()] if result == -1 else f"returned {result}").encode())
        finally:
            os._exit(0)
    os.close(pipe_end)
    with os.fdopen(pipe, "rb") as reader:
        said = reader.read().decode()
    end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return said or (signal.Signals(-end).name if end < 0 else f"ended with {end}")


def main() -> None:
    """Print the answers of all that the filter does not allow, by number."""
    program = PICTURE.program()
    assert program is not None
    refused = [n for n in range(1024) if judge(program, AUDIT[numbers.MACHINE], n) != bpf.ALLOW]
    json.dump({number: answer(program, number) for number in refused}, sys.stdout)


if __name__ == "__main__":
    main()
