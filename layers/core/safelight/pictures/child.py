"""`render` behind a process wall: a hostile file costs one child, never the worker.

Every picture gets a process of its own, forked from a warm one (`nursery`, `inside`): no state survives from one upload
to the next, and every limit starts at zero. It reads the file from a descriptor and answers through a pipe (`wire`). It
has no credentials in its environment, writes no file, and can open neither a file nor a socket (`confine`).
"""

import signal
from dataclasses import dataclass

from . import facts, wire
from .errors import PicturesUnavailable, UnreadablePicture
from .nursery import NURSERY, End
from .types import Rendered

_TOO_LONG = "This photo takes too long to open. Export it again as an ordinary JPEG and upload the new file."
_CRASHED = (
    "This photo is damaged, or needs more memory than a photo should: the program that opens it had to stop. "
    "Export it again from the original and upload the new file."
)
# Asked to stop by the system or by a person, not brought down by the picture.
_STOPPED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may use: `memory` bytes of address space, `cpu_seconds`, `wall_seconds` from start to answer."""

    memory: int = 1024**3
    cpu_seconds: int = 40
    wall_seconds: float = 60.0


LIMITS = Limits()


def render(data: bytes, content_type: str | None = None, *, limits: Limits = LIMITS) -> Rendered:
    """Renditions and facts of an uploaded picture, made in a child process of its own.

    The file is first judged by its header here (`facts.inspect`). Raises `UnreadablePicture` (do not retry) when the
    file is refused, damaged, crashes the decoder or goes over a limit, and `PicturesUnavailable` (retry) when this
    machine could not start a child, or somebody stopped it.
    """
    facts.inspect(data, content_type)
    try:
        end = _run(data, limits)
        if end.code == -signal.SIGKILL:
            # Not by us: the kernel's out-of-memory killer, or an operator. A sound picture gets a second chance.
            end = _run(data, limits)
    except (OSError, MemoryError) as error:
        raise PicturesUnavailable from error
    if not end.began or (end.code is not None and -end.code in _STOPPED):
        raise PicturesUnavailable
    if end.code == -signal.SIGXCPU or (end.code is None and len(end.raw) <= wire.MAX_BYTES):
        raise UnreadablePicture(_TOO_LONG)
    if end.code != 0:
        raise UnreadablePicture(_CRASHED)
    try:
        answer = wire.load(end.raw, data)
    except wire.Garbled as error:
        raise UnreadablePicture(_CRASHED) from error
    if isinstance(answer, str):
        raise UnreadablePicture(answer)
    return answer


def _run(data: bytes, limits: Limits) -> End:
    return NURSERY.run(data, memory=limits.memory, cpu_seconds=limits.cpu_seconds, wall_seconds=limits.wall_seconds)
