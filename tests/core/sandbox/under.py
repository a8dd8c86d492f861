"""The product's own nursery on a machine that refuses something, as a container or Lambda does. `python -m` prints
what came of it.

Arguments: what is refused, `required` or `platform`, and a sound picture's file.
"""

import json
import logging
import os
import sys
from pathlib import Path

from safelight.pictures import child
from safelight.pictures.environment import environment
from safelight.pictures.errors import SandboxUnavailable
from safelight.sandbox import bpf, privileges, seal, system
from safelight.sandbox.bpf import ENOSYS, EPERM, Rule
from safelight.sandbox.calls import AUDIT
from safelight.sandbox.nursery import Nursery
from safelight.sandbox.wire import Limits
from tests.core.sandbox.numbers import HERE, MACHINE

# By what is refused: the calls, and the answer. The third is what Docker's default profile refuses a process without
# capabilities (github.com/moby/profiles, seccomp/default.json), Landlock as in those of before 2023.
REFUSED = {
    "nothing": ((), EPERM),
    "seccomp": (("seccomp",), EPERM),
    "seccomp, as an old kernel": (("seccomp",), ENOSYS),
    "prctl": (("prctl",), EPERM),
    "landlock": (("landlock_create_ruleset",), ENOSYS),
    "as Docker": (
        (
            "unshare", "setns", "mount", "umount2", "pivot_root", "bpf", "userfaultfd", "perf_event_open", "keyctl",
            "add_key", "request_key", "kexec_load", "kexec_file_load", "init_module", "finit_module", "reboot",
            "swapon", "open_by_handle_at", "io_uring_setup", "landlock_create_ruleset", "landlock_add_rule",
            "landlock_restrict_self",
        ),
        EPERM,
    ),
    "close_range": (("close_range",), ENOSYS),
    "capabilities": ((), EPERM),
}  # fmt: skip


def refuse(what: str) -> None:
    """From now on, this process and all that it starts are refused these calls."""
    calls, answer = REFUSED[what]
    rules = {HERE[name]: Rule(then=answer) for name in calls}
    if rules:
        seal.shut(bpf.assemble(AUDIT[MACHINE], rules, default=bpf.ALLOW, last_known=10**6), required=False)
    if what == "capabilities":
        privileges.drop_bounding_set()
        system.call("capset", (0x20080522).to_bytes(4, "little") + bytes(4), bytes(24))


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was logged."""
        fields = {name: record.__dict__.get(name) for name in ("uid", "landlock", "filter", "reason")}
        self.found.append({"level": record.levelname, "message": record.getMessage()} | fields)


def main() -> None:
    """Print what the product does with a picture, and what a hostile child gets."""
    what, mode, picture = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    lines = _Lines()
    logging.getLogger("safelight.sandbox").addHandler(lines)
    logging.getLogger("safelight.sandbox").setLevel(logging.INFO)
    data = picture.read_bytes()
    refuse(what)
    child.NURSERY.required = mode == "required"
    result: dict[str, object] = {"uid": os.getuid()}
    for name in ("first", "again"):
        try:
            result[name] = child.render(data).width
        except SandboxUnavailable as error:
            result[name] = error.detail
    hostile = Nursery("tests.core.sandbox.hostile", environment)
    hostile.required = child.NURSERY.required
    if mode == "platform":
        about = json.dumps({"file": str(picture)}).encode()
        result["hostile"] = bytes(hostile.run(about + b"|read a file", Limits()).raw[1:]).decode()
    hostile.close()
    child.NURSERY.close()
    json.dump(result | {"lines": lines.found}, sys.stdout)


if __name__ == "__main__":
    main()
