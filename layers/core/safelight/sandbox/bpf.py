"""Rules about system calls as a classic BPF program over `struct seccomp_data`. Sources: seccomp(2), bpf(4)."""

import errno
import struct
from collections.abc import Mapping
from dataclasses import dataclass

ALLOW = 0x7FFF0000
KILL = 0x80000000
"""The whole process ends, with SIGSYS."""
_ERRNO = 0x00050000
EPERM, ENOSYS, EINVAL = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS, _ERRNO | errno.EINVAL

LOAD, EQUAL, GREATER, AT_LEAST, AND, ANSWER = 0x20, 0x15, 0x25, 0x35, 0x54, 0x06
X32 = 0x40000000
"""From here on: x86-64's numbers a second time, for pointers of 32 bits. Read without a sign, negative ones too."""
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_LONGEST = 4096  # BPF_MAXINSNS
_FARTHEST = 255  # a jump counts in one byte

type _Step = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class In:
    """Argument number `at` (from 0), after `& mask`, is one of `values`.

    Only its lower 32 bits are compared, as the kernel does with arguments that are ints. A flag word of 64 bits is safe
    as long as none of its upper bits means anything.
    """

    at: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Rule:
    """What a call is answered: `then` when every check holds, else `otherwise`."""

    checks: tuple[In, ...] = ()
    then: int = ALLOW
    otherwise: int = EPERM


def assemble(architecture: int, rules: Mapping[int, Rule], *, default: int, last_known: int) -> bytes:
    """The program: `rules` by number, tried in their order; any other number up to `last_known` gets `default`.

    Later numbers get ENOSYS. Calls of another architecture end the process, and so do those of x32.
    """
    steps: list[_Step] = [
        (LOAD, 0, 0, _ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (ANSWER, 0, 0, KILL),
        (LOAD, 0, 0, _NUMBER),
        (AT_LEAST, 0, 1, X32),
        (ANSWER, 0, 0, KILL),
    ]
    for number, rule in rules.items():
        body = _body(rule)
        steps += [(EQUAL, 0, len(body), number), *body]
    steps += [(GREATER, 0, 1, last_known), (ANSWER, 0, 0, ENOSYS), (ANSWER, 0, 0, default)]
    if len(steps) > _LONGEST or any(max(yes, no) > _FARTHEST for _, yes, no, _ in steps):
        raise ValueError("the rules are too long for one program")
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _body(rule: Rule) -> list[_Step]:
    """What is done about one call; always ends in an answer."""
    if not rule.checks:
        return [(ANSWER, 0, 0, rule.then)]
    steps: list[_Step] = [(ANSWER, 0, 0, rule.then)]
    for check in reversed(rule.checks):
        steps = [*_check(check, len(steps)), *steps]
    return [*steps, (ANSWER, 0, 0, rule.otherwise)]


def _check(check: In, fail: int) -> list[_Step]:
    """Fall through when the check holds, else jump `fail` instructions beyond the end. Arguments are little-endian."""
    head: list[_Step] = [(LOAD, 0, 0, _ARGUMENTS + 8 * check.at)]
    if check.mask != 0xFFFFFFFF:
        head.append((AND, 0, 0, check.mask))
    last = len(check.values) - 1
    return head + [
        (EQUAL, last - place, fail if place == last else 0, value) for place, value in enumerate(check.values)
    ]
