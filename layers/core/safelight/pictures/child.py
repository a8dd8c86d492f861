"""`render` behind a process wall: a hostile file costs one child, never the worker.

Every picture gets a process of its own, forked from a warm one (`inside`) and sealed before it looks at a byte
(`safelight.sandbox`): no state survives from one upload to the next, and every limit starts at zero. It has no
credentials in its environment, and can open neither a file nor a socket; what it answers is checked (`wire`).
"""

import signal

from safelight.sandbox.errors import SandboxMissing
from safelight.sandbox.nursery import End, Nursery
from safelight.sandbox.wire import Garbled, Limits

from . import facts, wire
from .environment import environment
from .errors import PicturesUnavailable, SandboxUnavailable, SandboxViolation, UnreadablePicture
from .types import Rendered

_TOO_LONG = "This photo takes too long to open. Export it again as an ordinary JPEG and upload the new file."
_CRASHED = (
    "This photo is damaged, or needs more memory than a photo should: the program that opens it had to stop. "
    "Export it again from the original and upload the new file."
)
# Asked to stop by the system or by a person, not brought down by the picture.
_STOPPED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}

LIMITS = Limits()
NURSERY = Nursery("safelight.pictures.inside", environment)


def render(data: bytes, content_type: str | None = None, *, limits: Limits = LIMITS) -> Rendered:
    """Renditions and facts of an uploaded picture, made in a child process of its own.

    The file is first judged by its header here (`facts.inspect`). Raises `UnreadablePicture` (do not retry) when the
    file is refused, damaged, crashes the decoder or goes over a limit, its subclass `SandboxViolation` when it made the
    decoder try to break out, and `PicturesUnavailable` (retry) when this machine could not start a child, or somebody
    stopped it; its subclass `SandboxUnavailable` when children must be sealed (`NURSERY.required`) and cannot be.
    """
    facts.inspect(data, content_type)
    try:
        end = NURSERY.run(data, limits)
        if end.code == -signal.SIGKILL:
            # Not by us: the kernel's out-of-memory killer, or an operator. A sound picture gets a second chance.
            end = NURSERY.run(data, limits)
    except SandboxMissing as error:
        raise SandboxUnavailable(error.reason) from error
    except (OSError, MemoryError) as error:
        raise PicturesUnavailable from error
    return _answer(end, data, limits)


def _answer(end: End, data: bytes, limits: Limits) -> Rendered:
    if not end.began or end.starved or (end.code is not None and -end.code in _STOPPED):
        raise PicturesUnavailable
    if end.violation:
        raise SandboxViolation
    if end.code == -signal.SIGXCPU or (end.code is None and len(end.raw) <= limits.answer):
        raise UnreadablePicture(_TOO_LONG)
    if end.code != 0:
        raise UnreadablePicture(_CRASHED)
    try:
        answer = wire.load(end.raw, data)
    except Garbled as error:
        raise UnreadablePicture(_CRASHED) from error
    if isinstance(answer, str):
        raise UnreadablePicture(answer)
    return answer
