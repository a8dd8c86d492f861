"""Whether this process can start as many threads as work may need."""

import threading
from contextlib import suppress

_NEEDED = 12
_STACK = 64 * 1024


def available() -> bool:
    """Start threads that wait for each other, and end them.

    For a child whose work failed: without threads any input fails, as one that is damaged does. The stacks are small,
    because memory may be what the work ran out of.
    """
    done = threading.Event()
    started = []
    threading.stack_size(_STACK)
    with suppress(RuntimeError, MemoryError):
        for _ in range(_NEEDED):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    done.set()
    for thread in started:
        thread.join()
    return len(started) == _NEEDED
