"""All system calls of both machines by name, and the kernel's own headers where this machine has them."""

import os
import re
from pathlib import Path

MACHINE = os.uname().machine
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
# The generic header's name of a call that 64-bit machines know by another.
_RENAMED = {"fstatat": "newfstatat"}


def _table(column: int) -> dict[str, int]:
    lines = (Path(__file__).parent / "unistd.txt").read_text().splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


NUMBERS = {"x86_64": _table(1), "aarch64": _table(2)}
HERE = NUMBERS.get(MACHINE, {})


def header(machine: str) -> dict[str, int]:
    """What the header says; empty without one."""
    if not HEADERS[machine].exists():
        return {}
    found: dict[str, int] = {}
    for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text()):
        found.setdefault(_RENAMED.get(name, name), int(number))
    return found
