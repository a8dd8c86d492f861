"""The child's side of `child`: take the limits on, load the libraries, seal the process, then look at the file."""

import os
import signal
import sys

from . import confine, wire


def main(memory: int, cpu_seconds: int) -> None:
    """Answer on stdout for the picture on stdin. An exit before `wire.READY` is written is not the picture's fault."""
    # Asked to stop, it stops at once: Python would wait for the decoder to come back first.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    confine.limit(memory=memory, cpu_seconds=cpu_seconds)
    # thumbhash would load Pillow, a second set of decoders, wherever it happens to be installed.
    sys.modules["PIL"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    from .errors import UnreadablePicture
    from .render import OUT_OF_MEMORY, render

    confine.seal()
    with open(1, "wb", closefd=False) as out:
        out.write(wire.READY)
        out.flush()
        try:
            with open(0, "rb", closefd=False) as file:
                answer = wire.dump(render(file.read()))
        except UnreadablePicture as error:
            answer = wire.dump(error.reason)
        except MemoryError:
            answer = wire.dump(OUT_OF_MEMORY)
        out.write(answer)
    # Without the libraries' shutdown, which has nothing left to do and takes its time.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
