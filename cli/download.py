"""`safelight download`: an archive, whole, under its own name."""

import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from .check import damage, outdated
from .errors import BROKEN, CommandError
from .extract import extract
from .fetch import fetch
from .part import opened
from .say import give, say, size
from .source import Head, Source

_EXACT = re.compile(r"filename\*=UTF-8''([^;\s]+)", re.IGNORECASE)
_PLAIN = re.compile(r'filename="([^"]*)"', re.IGNORECASE)


def download(source: Source, to: str | None, *, unpack: bool) -> None:
    """Wait for the archive, fetch and check it, and give it its name; the name goes to standard output."""
    try:
        head = source.ready()
        target = place(to, filename(head.disposition))
        if target.exists():
            if not target.is_file() or damage(target, head.size) is not None or outdated(target, source.manifest()):
                raise CommandError(
                    f"{target} is there already, and is something else: move it, or choose a name with --to."
                )
            say(f"{target} is there already, whole.")
        else:
            _bring(source, target, head)
    finally:
        source.http.close()
    give(str(target))
    if unpack:
        give(str(extract(target)))


def _bring(source: Source, target: Path, head: Head) -> None:
    with opened(target) as part:
        fetch(source, part, head)
        assert part.note is not None
        wrong = damage(part.path, part.note.size)
        if wrong is not None:
            part.discard()
            raise CommandError(
                f"The archive did not arrive whole, {wrong}. It was thrown away: run the command again.", BROKEN
            )
        part.finish(target)
        say(f"{target.name}: {size(part.note.size)}, every photo checked.")


def place(to: str | None, name: str) -> Path:
    """The file to write: `to` may be a folder or a file."""
    path = Path(to or ".")
    return path / name if path.is_dir() or (to or "").endswith(("/", "\\")) else path


def filename(disposition: str) -> str:
    """The name that the server suggests (RFC 6266), as one that is safe here: the server is not asked for a path."""
    exact, plain = _EXACT.search(disposition), _PLAIN.search(disposition)
    name = unquote(exact[1]) if exact else plain[1] if plain else ""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(char for char in name if unicodedata.category(char)[0] != "C" and char not in '<>:"|?*')
    return name.strip(" .") or "photos.zip"
