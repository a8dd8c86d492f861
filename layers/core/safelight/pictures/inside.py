"""The other side of the wall for renditions: what a child does with a picture, by libvips."""

import sys

from safelight.sandbox import threads, warm
from safelight.sandbox.profiles import PICTURE

from . import wire

# thumbhash would load Pillow, a second set of decoders, wherever it happens to be installed.
sys.modules["PIL"] = None  # type: ignore[assignment]  # the documented way to make an import fail
from .errors import UnreadablePicture  # noqa: E402  after the line above
from .reasons import OUT_OF_MEMORY  # noqa: E402
from .render import render  # noqa: E402


def work(data: bytes) -> bytes:
    """The answer for one picture: renditions and figures, or the reason why there are none.

    Raises UnreadablePicture when the picture failed while no thread could be started.
    """
    try:
        return wire.dump(render(data, hashed=False))
    except UnreadablePicture as error:
        if not threads.available():
            raise
        return wire.dump(error.reason)
    except MemoryError:
        return wire.dump(OUT_OF_MEMORY)


if __name__ == "__main__":
    warm.serve(work, PICTURE)
