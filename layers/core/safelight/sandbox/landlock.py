"""No path, no TCP port and no signal beyond this process, by Landlock: a second wall where the kernel has it.

Source: landlock(7), include/uapi/linux/landlock.h.
"""

import os
import struct

from . import system

_VERSION = 1
_NO_NEW_PRIVS = 38
# Rights of the file system by version of the interface: the lowest bits, all of them.
_FILES = {1: 13, 2: 14, 3: 15, 4: 15}
_FILES_SINCE_5 = 16
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract sockets, signals


def restrict() -> int:
    """Handle every right and allow nothing. The interface's version; 0 where this kernel, or a container, has none.

    Needs one file descriptor, so it comes before the limit of descriptors.
    """
    version = system.call("landlock_create_ruleset", None, 0, _VERSION)
    if version < 1:
        return 0
    handled = struct.pack(
        "=QQQ",
        (1 << _FILES.get(version, _FILES_SINCE_5)) - 1,
        _TCP if version >= 4 else 0,
        _SCOPES if version >= 6 else 0,
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = system.call("landlock_create_ruleset", handled, size, 0)
    if ruleset < 0:
        return 0
    try:
        system.prctl(_NO_NEW_PRIVS, 1)
        return version if system.call("landlock_restrict_self", ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)
