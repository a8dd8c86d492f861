"""Programs of these tests in processes of their own, as root and as an ordinary user.

Python may lie where only root can read it, so a program imports all it needs and then becomes the other user by itself.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65534
USERS = [0, NOBODY] if os.geteuid() == 0 else [os.geteuid()]
"""Who a test can be: root and `nobody`, or only the user that runs it."""


def run(module: str, *arguments: object) -> Any:
    """What `python -m module` prints as JSON."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'core'}", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def become(user: int) -> None:
    """Drop to an ordinary user, for good; nothing when this is that user."""
    if os.geteuid() != user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
