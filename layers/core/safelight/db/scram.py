"""The server's half of SCRAM (RFC 5802, 3): it proves that it knows the password before it gets a query."""

from typing import Any

from pg8000.exceptions import InterfaceError

# SASL, SASLContinue, SASLFinal (which holds the server's signature), Ok: PostgreSQL documentation, 54.2.1 and 54.7.
_STEPS = (10, 11, 12, 0)


class Mutual:
    """A pg8000 connection that can refuse a server which does not prove itself.

    With `require_scram` the server must take exactly the steps of SCRAM. One that asks for the password in clear or as
    MD5, or that lets everybody in, gets nothing and raises InterfaceError.
    """

    def __init__(self, *arguments: Any, require_scram: bool = False, **options: Any) -> None:
        self._require_scram = require_scram
        self._steps = 0
        super().__init__(*arguments, **options)

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000's name for it
        """Take the next step, which the driver checks."""
        if self._require_scram and int.from_bytes(data[:4]) not in _STEPS[self._steps : self._steps + 1]:
            raise InterfaceError("the server does not authenticate by SCRAM, as require_auth demands")
        super().handle_AUTHENTICATION_REQUEST(data, context)  # type: ignore[misc]  # a mixin: the connection has it
        self._steps += 1

    def handle_READY_FOR_QUERY(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000's name for it
        """Accept the server's word that it is ready only after the last step."""
        if self._require_scram and self._steps != len(_STEPS):
            raise InterfaceError("the server did not authenticate itself, as require_auth demands")
        super().handle_READY_FOR_QUERY(data, context)  # type: ignore[misc]  # a mixin: the connection has it
