"""Plain messages and progress, on standard error; standard output is for what a script wants to have."""

import contextlib
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

EVERY_SECONDS = 5
"""Between two lines of progress where no terminal shows a bar."""

type Advance = Callable[[int], None]


def plain(text: str) -> str:
    """Text of somebody else's without what a terminal would obey."""
    return "".join(char if unicodedata.category(char) not in ("Cc", "Cf", "Cs") else " " for char in text)


def say(text: str) -> None:
    """One message."""
    print(plain(text), file=sys.stderr, flush=True)


def give(text: str) -> None:
    """A result, for a program as well: exactly this text."""
    print(text, flush=True)


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.1f} {unit}" if unit != "B" and count < 10 else f"{count:.0f} {unit}"


@contextlib.contextmanager
def progress(label: str, total: int, start: int = 0) -> Iterator[Advance]:
    """A bar on a terminal, a line now and then elsewhere; the function given takes how many of `total` are done."""
    if not sys.stderr.isatty():
        yield _lines(label, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=max(total, 1), completed=start, told="")

        def advance(done: int) -> None:
            shown.update(task, completed=done, told=f"{size(done)} of {size(total)}")

        advance(start)
        yield advance


def _lines(label: str, total: int) -> Advance:
    last = time.monotonic()

    def advance(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY_SECONDS:
            last = time.monotonic()
            say(f"{label}: {size(done)} of {size(total)}, {100 * done // max(total, 1)} %")

    return advance
