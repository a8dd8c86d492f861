"""What keeps a child from being sealed, as its parent and as the product see it."""


class Unsealed(OSError):
    """A step of the seal failed in this process. The message names the step."""


class SandboxMissing(Exception):
    """This machine cannot confine children, so no hostile bytes are handled. `reason` says what failed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
