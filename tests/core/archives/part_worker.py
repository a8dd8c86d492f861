"""A worker process for test_build: it says "ready", waits for a line, and brings parts until nothing is due.

It names each job as it takes it, and with an argument it says "half" in the middle of its first part and waits there
for ever, so that it can be killed at a place that is known.
"""

import asyncio
import random
import sys
from collections.abc import AsyncGenerator

from safelight.archives import part
from safelight.archives.plan import Plan
from safelight.db.engine import transaction
from safelight.jobs import queries
from tests.claims import build_part


def wait_in_the_middle() -> None:
    """Half a part is sent, then nothing: as a worker that is about to die."""
    read = part.pieces

    async def pieces(planned: Plan, start: int, stop: int, beat: part.Beat) -> AsyncGenerator[bytes | memoryview]:
        sent = 0
        async for piece in read(planned, start, stop, beat):
            yield piece
            sent += len(piece)
            if sent > (stop - start) // 2:
                print("half", flush=True)
                await asyncio.sleep(600)

    part.pieces = pieces


def main() -> None:
    """Until nothing is due."""
    if sys.argv[1:]:
        wait_in_the_middle()
    print("ready", flush=True)
    sys.stdin.readline()
    chance = random.Random(sys.argv[0])
    while True:
        with transaction() as session:
            due = [job_id for job_id, _ in queries.due(session, 100)]
        if not due:
            return
        build_part(chance.choice(due))


if __name__ == "__main__":
    main()
