"""The connection to one Safelight: its answers, and its problems as sentences."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx

from . import __version__
from .errors import BROKEN, REFUSED, SIGN_IN, CommandError, Cut

# The visitor's identity for the server is the link's cookie, and address and program before there is one, or when the
# command is run again: the same for each part of one download.
USER_AGENT = f"safelight-cli/{__version__}"
TIMEOUT = httpx.Timeout(60, connect=15)
_CODES = {"archive_not_built": BROKEN, "password_required": SIGN_IN, "wrong_password": SIGN_IN, "unauthorized": SIGN_IN}

type Authorize = Callable[[bool], dict[str, str]]


class Http:
    """Requests to one server. `base` is its address without a final slash; `authorize` gives the headers of a
    signed-in photographer, fresh ones when told that the last were refused."""

    def __init__(self, base: str, authorize: Authorize | None = None) -> None:
        self.base = base
        self._authorize = authorize
        # Certificates are loaded when the first https address needs them; redirects are followed by hand, so that no
        # credential ever goes to another host.
        self._client = httpx.Client(
            timeout=TIMEOUT, headers={"User-Agent": USER_AGENT}, verify=not base.startswith("http:")
        )
        self._elsewhere: httpx.Client | None = None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        if self._elsewhere is not None:
            self._elsewhere.close()

    def json(self, method: str, url: str, body: Any = None) -> Any:
        """The answer as JSON, None where there is none. Raises Problem, Cut, CommandError."""
        with self.open(method, url, body=body) as answer:
            read(answer)
            if not answer.is_success:
                raise problem(answer)
            try:
                return answer.json() if answer.content else None
            except ValueError as error:
                raise CommandError(f"This is no Safelight: {url} answers something else.") from error

    @contextlib.contextmanager
    def open(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> Iterator[httpx.Response]:
        """An answer whose body is read by the caller. Raises Cut where trying again may help."""
        for refused in (False, True):
            own = self._authorize(refused) if self._authorize else {}
            with stream(self._client, method, url, {**(headers or {}), **own}, body) as answer:
                if answer.status_code == 401 and self._authorize and not refused:
                    continue  # the access token ran out meanwhile
                yield answer
                return

    @contextlib.contextmanager
    def follow(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """An answer from where the server sent us, without cookies and credentials of ours."""
        if self._elsewhere is None:
            self._elsewhere = httpx.Client(
                timeout=TIMEOUT, headers={"User-Agent": USER_AGENT}, verify=not url.startswith("http:")
            )
        with stream(self._elsewhere, "GET", url, headers, None) as answer:
            yield answer


@contextlib.contextmanager
def stream(client: httpx.Client, method: str, url: str, headers: dict[str, str], body: Any) -> Iterator[httpx.Response]:
    """One request; its failures on the way as Cut."""
    try:
        with client.stream(method, url, headers=headers, json=body) as answer:
            if answer.status_code in (429, 500, 502, 503, 504):
                read(answer)
                after = answer.headers.get("retry-after", "")
                raise Cut(_detail(answer), float(after) if after.isdigit() else None)
            yield answer
    except httpx.TransportError as error:
        raise Cut(_reason(error)) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise CommandError(f"This is not an address that can be asked: {url}") from error


def read(answer: httpx.Response) -> None:
    """Take in a small body."""
    try:
        answer.read()
    except httpx.TransportError as error:
        raise Cut(_reason(error)) from error


def problem(answer: httpx.Response) -> CommandError:
    """What the server said, for people (RFC 9457)."""
    try:
        code = str(answer.json().get("code", ""))
    except (ValueError, AttributeError):
        code = ""
    return Problem(_detail(answer), _CODES.get(code, SIGN_IN if answer.status_code == 401 else REFUSED), code)


class Problem(CommandError):
    """A problem document; `name` is its stable code."""

    def __init__(self, message: str, code: int, name: str) -> None:
        super().__init__(message, code)
        self.name = name


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered {answer.status_code} and gave no reason. Is this the address of a Safelight?"


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"no connection ({error or 'timed out'})"
    return "nothing came for a minute" if isinstance(error, httpx.TimeoutException) else "the connection broke"
