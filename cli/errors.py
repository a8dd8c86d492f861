"""What ends the command: a sentence for the person who ran it, and an exit code for the program that did."""

REFUSED = 1  # the server said no, or something here is in the way
SIGN_IN = 3  # a password or a sign-in is missing or wrong; 2 is argparse's, for the command line itself
NETWORK = 4  # no connection for too long; running the same command again goes on
DISK = 5  # no room, or not allowed to write; running the same command again goes on
BROKEN = 6  # the archive could not be put together, or did not arrive as it is
STOPPED = 130  # Ctrl-C


class CommandError(Exception):
    """The command cannot go on."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


class Cut(Exception):
    """The connection broke, or the server asks for patience: worth trying again after `seconds`, if it said so."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds
