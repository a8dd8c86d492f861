"""Honest pictures beside a child that takes all threads it can get. `python -m` prints what became of them.

Arguments: a user's number to become first, how many threads the bomb leaves, and a sound picture's file. An ordinary
user gets a limit of processes, as an administrator or a container sets one, and the bomb uses it up.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from safelight.pictures import child
from safelight.pictures.errors import PicturesUnavailable, UnreadablePicture
from safelight.sandbox.nursery import Nursery
from safelight.sandbox.wire import Limits
from tests.core.sandbox.running import become
from tests.core.sandbox.worker import nursery

_PROCESSES = 40
_ROUNDS = 5


def children(home: Nursery) -> dict[int, tuple[int, int]]:
    """User and threads of each child, by number."""
    found = {}
    for number in Path(f"/proc/{home._warm}/task/{home._warm}/children").read_text().split():
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
        fields = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        found[int(number)] = (int(fields["Uid"][0]), int(fields["Threads"][0]))
    return found


def settled(home: Nursery) -> tuple[int, int, int]:
    """Number, user and threads of the only child, once it has stopped starting threads."""
    before = None
    while True:
        time.sleep(0.5)
        now = children(home)
        if now and now == before and next(iter(now.values()))[1] > 1:
            [(number, (user, threads))] = now.items()
            return number, user, threads
        before = now


def outcome(picture: bytes) -> str:
    """What the product makes of a sound picture."""
    try:
        child.render(picture)
    except PicturesUnavailable:
        return "tried again"
    except UnreadablePicture as error:
        return error.reason
    return "ready"


def main() -> None:
    """Print everything."""
    picture = Path(sys.argv[3]).read_bytes() + b"|honest"
    user = int(sys.argv[1])
    become(user)
    if user:
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))
    home = child.NURSERY = nursery()
    before = outcome(picture)
    bomb = threading.Thread(target=home.run, args=(sys.argv[2].encode() + b"|thread bomb", Limits()))
    bomb.start()
    number, bomber, threads = settled(home)
    during = [outcome(picture) for _ in range(_ROUNDS)]
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
    bomb.join()
    after = outcome(picture)
    home.close()
    result = {"before": before, "during": during, "after": after, "user": bomber, "threads": threads}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
