"""Trying again: longer and longer pauses, from the start again whenever something was gained."""

import random
import time

from .errors import NETWORK, CommandError, Cut
from .say import say

PAUSES = (1, 2, 4, 8, 15, 30, 30, 30)
"""Seconds, two minutes in all: a train's tunnel, a server's restart."""


class Patience:
    """How often in a row something failed."""

    def __init__(self) -> None:
        self._failed = 0

    def gained(self) -> None:
        """Something worked: the next failure is a first one."""
        self._failed = 0

    def wait(self, cut: Cut, kept: str = "") -> None:
        """Pause before the next attempt. Raises CommandError when there were enough."""
        if self._failed >= len(PAUSES):
            raise CommandError(f"Given up: {cut}. {kept}Run the same command again later.", NETWORK) from cut
        pause = max(PAUSES[self._failed], cut.seconds or 0)
        self._failed += 1
        say(f"Interrupted: {cut}. Trying again in {pause:g} s.")
        # Not all clients of a server that restarts come back in the same instant.
        time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret depends on it
