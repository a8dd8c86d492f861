"""System calls that Python has no function for. Results are the kernel's own: an error is its errno, negated."""

import ctypes
import errno
import os
import sys

from .calls import NUMBERS

_NUMBERS = NUMBERS.get(os.uname().machine, {})  # looked up once: uname(2) is refused in a sealed process
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

type Argument = int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure | None


def call(name: str | int, *arguments: Argument) -> int:
    """Make a system call, by its name or its number. -ENOSYS where the system is not Linux or has no such call."""
    if sys.platform != "linux":
        return -errno.ENOSYS
    number = _NUMBERS.get(name) if isinstance(name, str) else name
    if number is None:
        return -errno.ENOSYS
    result = int(_libc.syscall(ctypes.c_long(number), *map(_given, arguments)))
    return result if result != -1 else -ctypes.get_errno()


def prctl(option: int, *arguments: int) -> int:
    """prctl(2); arguments that are not given are 0."""
    return call("prctl", option, *arguments, *[0] * (4 - len(arguments)))


def demand(result: int, step: str) -> int:
    """`result`, unless it is an error. Raises OSError, whose text names the step."""
    if result < 0:
        raise OSError(-result, f"{step}: {os.strerror(-result)}")
    return result


def _given(argument: Argument) -> object:
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    return ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else argument


def buffer(size: int) -> ctypes.Array[ctypes.c_char]:
    """Memory that the kernel writes into."""
    return ctypes.create_string_buffer(size)
