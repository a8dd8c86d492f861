"""A worker that kills itself: a program for test_crash, which speaks to it line by line.

Each line in is `{"key": ..., "step": N}`. The real `handle_record(key)` runs in a fork with every wall of processing
(the store's methods, commits, the render child) wrapped so that the N-th passage, counted before and after each call,
is a SIGKILL. The answer is `{"died": "before write"}`, or `{"died": null}` when the run ended by itself.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from safelight import storage
from safelight.photos import keys, upload, worker
from safelight.pictures import child
from safelight.queue import wake_key
from safelight.storage.store import Storage

WALLS: list[tuple[Any, str]] = [
    (Session, "commit"),
    (Storage, "head"),
    (Storage, "read"),
    (Storage, "copy"),
    (Storage, "write"),
    (child, "render"),
]
# Into the work on the picture, in seconds: its process is on its way then.
DURING = 0.01


class Countdown:
    """Kills this process at the N-th passage of a wall, having said where."""

    def __init__(self, step: int, say: int) -> None:
        self._left = step
        self._say = say

    def passage(self, name: str, delay: float = 0) -> None:
        """One step further; the end, if it is the last one, comes after `delay` seconds."""
        self._left -= 1
        if self._left == 0 and delay:
            signal.signal(signal.SIGALRM, lambda *_: self._die(name))
            signal.setitimer(signal.ITIMER_REAL, delay)
        elif self._left == 0:
            self._die(name)

    def _die(self, name: str) -> None:
        os.write(self._say, name.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The same call with a passage on either side of it."""

        @functools.wraps(original)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            self.passage(f"before {original.__name__}")
            if original.__name__ == "render":
                self.passage("during render", DURING)
            result = original(*arguments, **options)
            self.passage(f"after {original.__name__}")
            return result

        return wrapped


def run(key: str, step: int, say: int) -> None:
    """Handle the record, and for an upload a wake-up after it, dying at `step`."""
    countdown = Countdown(step, say)
    for owner, name in WALLS:
        setattr(owner, name, countdown.wrap(getattr(owner, name)))
    worker.handle_record(key)
    if key.startswith(keys.INCOMING):
        worker.handle_record(wake_key(upload.JOB, uuid.uuid4()))


def fork(key: str, step: int) -> str | None:
    """Run in a fork; where it died, or None. Raises RuntimeError when it ended in any other way."""
    heard, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        try:
            run(key, step, say)
        except BaseException:  # noqa: BLE001 - whatever it is, the fork must not go on as its parent
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    os.close(say)
    with os.fdopen(heard) as pipe:
        where = pipe.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL) or (code == 0) == bool(where):
        raise RuntimeError(f"the worker ended with {code} at {where!r}")
    return where or None


def main() -> None:
    """Serve until stdin closes. The worker's own output goes to stderr, so that stdout holds answers alone."""
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        storage.storage()  # made once for all forks; it connects when it is used
        for line in sys.stdin:
            answers.write(json.dumps({"died": fork(**json.loads(line))}) + "\n")


if __name__ == "__main__":
    main()
