"""The kernel answers as the interpreter says."""

import errno

import pytest

from safelight.sandbox import bpf
from safelight.sandbox.calls import AUDIT
from safelight.sandbox.profiles import PICTURE
from tests.core.sandbox import numbers
from tests.core.sandbox.interpreter import judge
from tests.core.sandbox.running import run

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="system calls of Linux")

# uretprobe and uprobe never meet a filter, by design: they only do something within the kernel's own trampolines
# (kernel/seccomp.c, seccomp_uprobe_exception; Linux 6.14).
PAST_FILTERS = {335, 336} if numbers.MACHINE == "x86_64" else set()


def test_every_refused_call_is_refused_by_this_kernel() -> None:
    program = PICTURE.program()
    assert program is not None
    answered: dict[str, str] = run("tests.core.sandbox.calling")
    assert len(answered) > 980
    for number, answer in answered.items():
        judged = judge(program, AUDIT[numbers.MACHINE], int(number))
        if int(number) not in PAST_FILTERS:
            assert answer == ("SIGSYS" if judged == bpf.KILL else errno.errorcode[judged & 0xFFFF]), number
        else:
            assert not answer.startswith("returned"), number
