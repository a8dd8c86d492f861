"""Who is signed in: tokens in the platform's configuration directory, for this user's eyes only.

A refresh token is good for one use, and using one twice ends the session. So whoever refreshes holds a lock, reads what
is stored then, and stores the successor before anything else happens.
"""

import contextlib
import getpass
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_config_path

from .errors import SIGN_IN, CommandError, Cut
from .http import Http, Problem
from .patience import Patience
from .say import say

if sys.platform != "win32":
    import fcntl

EARLY_SECONDS = 30
"""An access token that ends this soon is replaced before it is used."""
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Session:
    """The stored sign-in. Raises CommandError when there is none."""

    def __init__(self) -> None:
        self._stored = _read()

    @property
    def url(self) -> str:
        """The server's address."""
        return str(self._stored["url"])

    def authorize(self, refused: bool) -> dict[str, str]:
        """The header of a signed-in photographer. `refused`: the last one was not taken. Raises CommandError, Cut."""
        if refused or self._stored["expires_at"] < time.time() + EARLY_SECONDS:
            self._refresh()
        return {"Authorization": f"Bearer {self._stored['access_token']}"}

    def _refresh(self) -> None:
        with _locked():
            stored = _read()
            if stored["access_token"] == self._stored["access_token"]:
                stored = _renewed(stored)
            self._stored = stored


def sign_in(url: str, name: str | None, *, password_stdin: bool, allow_http: bool) -> None:
    """Ask for name and password, and keep what the server gives for them. Raises CommandError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError("Give the server's address, like https://photos.example")
    if parts.scheme == "http" and parts.hostname not in _LOCAL and not allow_http:
        raise CommandError("Over http anybody on the way reads the password. Use https, or insist with --allow-http.")
    if name is None or not password_stdin:
        if not sys.stdin.isatty():
            raise CommandError("Nobody can be asked here: give --name and --password-stdin.", SIGN_IN)
        name = name or input("E-mail or username: ")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else getpass.getpass("Password: ", sys.stderr)
    base = url.rstrip("/")
    http = Http(base)
    body = {"email" if "@" in name else "username": name, "password": password}
    try:
        pair = _patiently(http, f"{base}/auth/login", body)
    finally:
        http.close()
    with _locked():
        _write(_entry(base, pair))
    say(f"Signed in to {base}.")


def _renewed(stored: dict[str, Any]) -> dict[str, Any]:
    http = Http(stored["url"])
    try:
        pair = http.json("POST", f"{stored['url']}/auth/refresh", {"refresh_token": stored["refresh_token"]})
    except Problem as over:
        raise CommandError(f"{over} Sign in again: safelight login {stored['url']}", SIGN_IN) from over
    finally:
        http.close()
    entry = _entry(stored["url"], pair)
    _write(entry)
    return entry


def _patiently(http: Http, url: str, body: dict[str, str]) -> Any:
    patience = Patience()
    while True:
        try:
            return http.json("POST", url, body)
        except Cut as cut:
            patience.wait(cut)


def _entry(url: str, pair: dict[str, Any]) -> dict[str, Any]:
    return {
        "url": url,
        "access_token": pair["access_token"],
        "refresh_token": pair["refresh_token"],
        "expires_at": time.time() + pair["expires_in"],
    }


def _file() -> Path:
    return user_config_path("safelight") / "login.json"


def _read() -> dict[str, Any]:
    try:
        stored: dict[str, Any] = json.loads(_file().read_text())
        return stored
    except FileNotFoundError:
        raise CommandError("Nobody is signed in: safelight login https://photos.example", SIGN_IN) from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{_file()} cannot be read: sign in again with safelight login.", SIGN_IN) from error


def _write(entry: dict[str, Any]) -> None:
    """Whole or not at all: half a file would be a session lost."""
    path, new = _file(), _file().with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(entry, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    folder = _file().parent
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        with os.fdopen(os.open(folder / "login.lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise CommandError(f"The sign-in cannot be kept in {folder}: {error.strerror}.", SIGN_IN) from error
