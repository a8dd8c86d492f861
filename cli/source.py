"""Where an archive comes from: a visitor's link, or a gallery of the photographer's own."""

import getpass
import re
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx2 as httpx

from .errors import BROKEN, SIGN_IN, CommandError, Cut
from .http import Http, Problem, problem, read
from .login import Session
from .patience import Patience
from .say import progress, say

POLL_SECONDS = 3
_LINK = re.compile(r"(?P<base>.*?)/s/(?P<share>[^/]+)(?P<rest>/.*)?")
# What a link's address may choose of a gallery; anything else in it was added on the way and chooses nothing.
_CHOICES = ("selection", "size")


@dataclass(frozen=True, slots=True)
class Head:
    """An archive that can be fetched now: bytes, validator, and the name that the server suggests."""

    size: int
    etag: str
    disposition: str


class Source:
    """One archive of one server. `path` is the archive's, with its query."""

    def __init__(self, http: Http, path: str, query: str, share: str | None, *, password_stdin: bool) -> None:
        self.http = http
        self._base = f"{http.base}{path}"
        self._query = query
        self._share = share
        self._password_stdin = password_stdin

    @property
    def url(self) -> str:
        """The archive's address, which is also its identity on this machine."""
        return f"{self._base}{self._query}"

    def ready(self) -> Head:
        """Wait until the archive can be fetched, beginning it where nobody has. Raises CommandError."""
        patience = Patience()
        while True:
            try:
                self._wait(patience)
                with self.http.open("HEAD", self.url) as head:
                    read(head)
                    if head.status_code == 200:
                        return _head(head)
                    if head.status_code != 202:
                        self._status()  # HEAD gives no reason; this does
                        raise CommandError("The archive cannot be had just now: run the same command again.")
            except Cut as cut:
                patience.wait(cut)

    def manifest(self) -> list[tuple[str, int, int]]:
        """(name, bytes, CRC-32) of each photo in the archive, in its order. Raises CommandError."""
        patience = Patience()
        while True:
            try:
                told = self.http.json("GET", f"{self._base}/manifest{self._query}")
                return [(photo["name"], photo["size"], photo["crc32"]) for photo in told["photos"]]
            except Cut as cut:
                patience.wait(cut)
            except (KeyError, TypeError) as error:
                raise CommandError("The server does not tell what the archive holds: is it an older one?") from error

    def _wait(self, patience: Patience) -> None:
        told = self._status()
        asked = False
        if told["status"] == "ready":
            return
        with progress("Preparing", told["size"]) as advance:
            while told["status"] != "ready":
                if told["status"] == "absent" or (told["status"] == "failed" and not asked):
                    if not asked:
                        say("This archive is large: the server puts it together first.")
                    asked = True
                    self._begin()
                elif told["status"] == "failed":
                    raise CommandError(told.get("reason") or "The archive could not be put together.", BROKEN)
                advance(int(told["progress"] * told["size"]))
                time.sleep(POLL_SECONDS)
                try:
                    told = self._status(urlsplit(told.get("status_url") or "").query)
                    patience.gained()
                except Cut as cut:
                    patience.wait(cut)

    def _begin(self) -> None:
        """Ask for the archive, and take none of it."""
        with self.http.open("GET", self.url) as answer:
            if answer.is_error:
                read(answer)
                raise problem(answer)

    def _status(self, named: str = "") -> dict[str, Any]:
        """What there is of the archive; `named` is the query that an earlier answer gave, and costs it less."""
        query = f"?{named}" if named else self._query
        while True:
            try:
                told: dict[str, Any] = self.http.json("GET", f"{self._base}/status{query}")
                if told["status"] in ("absent", "building", "ready", "failed"):
                    return told
            except (KeyError, TypeError):
                pass
            except Problem as locked:
                if locked.name != "password_required" or self._share is None:
                    raise
                self._unlock()
                continue
            raise CommandError(f"This is no Safelight that this command understands: {self._base}")

    def _unlock(self) -> None:
        password = self._password()
        try:
            self.http.json("POST", f"{self.http.base}/s/{self._share}/unlock", {"password": password})
        except Problem as wrong:
            if wrong.name != "wrong_password" or self._password_stdin:
                raise
            say(str(wrong))

    def _password(self) -> str:
        if self._password_stdin:
            return sys.stdin.readline().rstrip("\r\n")
        if not sys.stdin.isatty():
            raise CommandError("This link is locked: give its password with --password-stdin.", SIGN_IN)
        return getpass.getpass("Password of this gallery: ", sys.stderr)


def _head(answer: httpx.Response) -> Head:
    try:
        size = int(answer.headers["content-length"])
        return Head(size, answer.headers["etag"], answer.headers.get("content-disposition", ""))
    except (KeyError, ValueError) as error:
        raise CommandError(
            "The server does not tell the archive's size: something on the way changes its answers."
        ) from error


def find(what: str, size: str | None, *, password_stdin: bool) -> Source:
    """The archive of a link or of a gallery's id. Raises CommandError."""
    query = _query({"size": size} if size else {})
    if re.match(r"https?://", what):
        parts = urlsplit(what)
        match = _LINK.fullmatch(parts.path)
        if match is None or not parts.netloc:
            raise CommandError("This is no link to a gallery: one looks like https://photos.example/s/anna-and-ben")
        if (match["rest"] or "/").rstrip("/") not in ("", "/download/all"):
            raise CommandError(
                f"This is an address within a gallery. For all of its photos: {what[: what.index(match['rest'])]}"
            )
        chosen = {name: value for name, value in parse_qsl(parts.query, keep_blank_values=True) if name in _CHOICES}
        query = _query({**chosen, **({"size": size} if size else {})})
        if chosen.get("selection") == "mine":
            raise CommandError("Which photos are yours, only your browser knows: download your favourites there.")
        base, share = f"{parts.scheme}://{parts.netloc}{match['base']}", match["share"]
        return Source(Http(base), f"/s/{share}/download/all", query, share, password_stdin=password_stdin)
    try:
        gallery = str(uuid.UUID(what))
    except ValueError:
        raise CommandError(
            "Give a link (https://…/s/…), or the id of a gallery of yours: `safelight galleries` lists them."
        ) from None
    session = Session()
    return Source(
        Http(session.url, session.authorize), f"/galleries/{quote(gallery)}/download", query, None, password_stdin=False
    )


def _query(chosen: dict[str, str]) -> str:
    return f"?{urlencode(chosen)}" if chosen else ""
