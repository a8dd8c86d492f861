"""Bringing an archive's bytes into its part, through cuts, until all of them are there."""

import re

import httpx2 as httpx

from .errors import CommandError, Cut
from .http import problem, read
from .part import Note, Part
from .patience import Patience
from .say import Advance, progress, say, size
from .source import Head, Source

PIECE = 256 * 1024
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def fetch(source: Source, part: Part, head: Head) -> None:
    """Go on from what is there, or start. Raises CommandError when the server or the network gives up."""
    patience = Patience()
    _agree(source, part, head)
    while part.size < head.size:
        with progress("Downloading", head.size, part.size) as advance:
            before = part.size
            try:
                _some(source, part, head, advance)
                cut = Cut("the connection broke") if part.size < head.size else None
            except Cut as broken:
                cut = broken
        if part.size > before:
            patience.gained()
        if cut is not None:
            patience.wait(cut, f"{size(part.size)} of {size(head.size)} are kept. ")
            head = source.ready()
            _agree(source, part, head)


def _agree(source: Source, part: Part, head: Head) -> None:
    """The part is of this very archive, and has room for the rest."""
    note = part.note
    if note is not None and note.url != source.url:
        raise CommandError(f"{part.path} is half of another download, {note.url}: choose another name with --to.")
    if note is None and part.size:
        raise CommandError(
            f"{part.path} is in the way, and nothing tells what it is: move it, or choose another name with --to."
        )
    if note is not None and (note.etag, note.size) != (head.etag, head.size):
        say("The gallery has changed since this download was begun: starting again.")
        note = None
    if note is None or part.size > note.size:
        part.start(Note(source.url, head.etag, head.size))
    elif 0 < part.size < head.size:
        say(f"Going on at {size(part.size)} of {size(head.size)}.")
    part.room(head.size - part.size)


def _some(source: Source, part: Part, head: Head, advance: Advance) -> None:
    """One request's worth of bytes. Raises Cut, CommandError."""
    note = part.note
    assert note is not None
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": note.etag}
    with source.http.open("GET", source.url, headers) as answer:
        if answer.status_code == 307:
            read(answer)
            # The bucket knows the object by a validator of its own. Before it has told it, the one that HEAD was asked
            # about says that the object is the same, since it is named after what it holds.
            headers.pop("If-Range", None)
            if part.size and note.object_etag:
                headers["If-Range"] = note.object_etag
            with source.http.follow(answer.headers["location"], headers) as delivered:
                etag = delivered.headers.get("etag")
                if delivered.status_code in (200, 206) and etag != note.object_etag:
                    part.remember(Note(note.url, note.etag, note.size, etag))
                _take(delivered, part, head, advance)
        else:
            _take(answer, part, head, advance)


def _take(answer: httpx.Response, part: Part, head: Head, advance: Advance) -> None:
    if answer.status_code == 202:
        raise Cut("the archive has to be put together again", 0)
    if answer.is_error and answer.status_code not in (412, 416):
        read(answer)
        raise problem(answer)
    if not _fits(answer, part.size, head.size):
        # It changed between two questions, or a proxy knows better: what is there belongs to nothing.
        note = part.note
        assert note is not None
        say("The archive has changed meanwhile: starting again.")
        part.start(Note(note.url, note.etag, note.size))
        raise Cut("the archive is another one now", 0)
    try:
        for piece in answer.iter_raw(PIECE):
            part.append(piece)
            advance(part.size)
    except httpx.TransportError as error:
        raise Cut("the connection broke") from error


def _fits(answer: httpx.Response, start: int, whole: int) -> bool:
    """Whether these are the bytes from `start` on of an archive of `whole` bytes."""
    if answer.status_code == 200:
        return start == 0 and answer.headers.get("content-length") == str(whole)
    match = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    return answer.status_code == 206 and match is not None and (int(match[1]), int(match[2])) == (start, whole)
