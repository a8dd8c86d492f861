"""What Postgres's errors mean (PostgreSQL documentation, appendix A), whichever way into it they came."""

from contextlib import suppress
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError

# Connection exceptions, operator intervention (shutdown, crash), too many connections.
_LOST_STATES = ("08", "57P", "53300")
_UNIQUE_VIOLATION = "23505"


class Careful:
    """A pg8000 connection whose errors quote no rows (Postgres's DETAIL holds values, and errors are logged), and which
    leaves no open socket when it is closed after the server has gone.
    """

    def handle_ERROR_RESPONSE(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000's name for it
        """Keep the error without its detail."""
        super().handle_ERROR_RESPONSE(data, context)  # type: ignore[misc]  # a mixin: the connection has it
        context.error.args[0].pop("D", None)

    def close(self) -> None:
        """Say goodbye, and close the stream over the socket even when nobody hears it."""
        stream = getattr(self, "_sock", None)
        try:
            super().close()  # type: ignore[misc]  # a mixin: the connection has it
        finally:
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def is_lost(error: BaseException) -> bool:
    """Whether there is no database behind this connection any more, so that another attempt may well do."""
    return isinstance(error, (InterfaceError, OSError)) or _fields(error).get("C", "").startswith(_LOST_STATES)


def violated(error: BaseException) -> str:
    """The unique constraint that refused a row; empty when it was anything else."""
    fields = _fields(error)
    return fields.get("n", "") if fields.get("C") == _UNIQUE_VIOLATION else ""


def _fields(error: BaseException) -> dict[str, str]:
    # The protocol's fields by their letters; SQLAlchemy keeps the driver's error as `orig`.
    error = getattr(error, "orig", None) or error
    return error.args[0] if isinstance(error, DatabaseError) and isinstance(error.args[0], dict) else {}
