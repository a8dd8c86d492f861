"""A warm process as the product's, with a filter that the variable FAULT names."""

import contextlib
import os
import signal
from dataclasses import replace

from safelight.pictures.environment import environment
from safelight.sandbox import bpf, warm
from safelight.sandbox.bpf import Rule
from safelight.sandbox.errors import SandboxMissing
from safelight.sandbox.nursery import Nursery
from safelight.sandbox.profiles import PICTURE, Profile

FAULTS = {
    "allows everything": Profile("everything", {}, tripwires=(), default=bpf.ALLOW),
    "allows what is not on the list": replace(PICTURE, default=bpf.ALLOW),
    "kills nothing": replace(PICTURE, tripwires=()),
    "opens files": replace(PICTURE, rules={**PICTURE.rules, "openat": Rule()}),
    "makes sockets": replace(PICTURE, rules={**PICTURE.rules, "socket": Rule()}),
    "forks": replace(PICTURE, rules={**PICTURE.rules, "clone": Rule()}),
    "maps code": replace(PICTURE, rules={**PICTURE.rules, "mmap": Rule()}),
    # No fault but the test of all: whatever is not on the list ends the process.
    "is strict": replace(PICTURE, default=bpf.KILL),
}


def strict() -> Nursery:
    """A nursery whose children die of every call that is not on the list: of those that prove the product's filter,
    too, so that it cannot be proved, and is taken as a platform's would be."""
    home = nursery("is strict")
    with contextlib.suppress(SandboxMissing):
        home.prove()
    assert str(home.refusal).endswith(f"ended with {-signal.SIGSYS}"), home.refusal
    home.close()
    home.required = False
    return home


def nursery(fault: str) -> Nursery:
    """A nursery whose children have that filter."""
    return Nursery("tests.core.sandbox.faulty", lambda path: environment(path) | {"FAULT": fault})


if __name__ == "__main__":
    from safelight.pictures import inside  # it makes Pillow impossible to import, which tests need

    warm.serve(inside.work, FAULTS[os.environ["FAULT"]])
