"""What a hostile child tries changes nothing and gets it nothing; without the filter the same attempts do."""

import errno
import signal

import pytest

from safelight.sandbox import bpf
from safelight.sandbox.calls import AUDIT
from safelight.sandbox.profiles import PICTURE
from tests.core.sandbox import battery, numbers
from tests.core.sandbox.attempts import ATTEMPTS
from tests.core.sandbox.interpreter import judge
from tests.core.sandbox.running import NOBODY, USERS, run

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="system calls of Linux")


def expected(name: str) -> str:
    """What the filter answers to an attempt. Pointers are never looked at, so any number stands for one."""
    if name in ("x32 openat", battery.I386):
        return signal.SIGSYS.name
    called, *given = ATTEMPTS[name]
    number = numbers.HERE[called] if isinstance(called, str) else called
    arguments = [argument if isinstance(argument, int) else 4096 for argument in given]
    program = PICTURE.program()
    assert program is not None
    answer = judge(program, AUDIT[numbers.MACHINE], number, arguments)
    if answer == bpf.ALLOW:
        assert name == "rseq 2", name
        return errno.errorcode[errno.EINVAL]  # the kernel's own answer
    return signal.SIGSYS.name if answer == bpf.KILL else errno.errorcode[answer & 0xFFFF]


@pytest.mark.parametrize("user", USERS)
def test_every_attempt_is_refused_and_nothing_changes_outside(user: int) -> None:
    found = run("tests.core.sandbox.battery", "sealed", user)
    outcomes: dict[str, str] = found["outcomes"]
    assert found["uid"] == user
    assert len(outcomes) == (172 if numbers.MACHINE == "x86_64" else len(battery.names()))
    assert {name: outcome for name, outcome in outcomes.items() if outcome != expected(name)} == {}
    assert found["changed"] == {}


def test_the_same_attempts_find_the_holes_where_there_is_no_filter() -> None:
    found = run("tests.core.sandbox.battery", "open", NOBODY if NOBODY in USERS else USERS[0])
    outcomes: dict[str, str] = found["outcomes"]
    succeeded = {name for name, outcome in outcomes.items() if outcome.startswith("returned")}
    assert len(succeeded) > 60
    assert {
        "openat",
        "fchmodat2",
        "shmget",
        "socket inet",
        "process_vm_readv",
        "mmap exec",
        "prlimit parent",
    } <= succeeded
    assert found["changed"].keys() >= {"file", "folder", "shared memory", "semaphores", "message queues"}
