"""User, groups and capabilities of a child. Sources: capabilities(7), setresuid(2)."""

import os
import struct

from . import system

OWN_IDS = range(65000, 65534)
"""User and group of children whose parent is root: one each, because the kernel counts threads by user.

Debian Policy (9.2.2) reserves these ids, so no account has one. Those up to 65519 systemd may give to a service with
DynamicUser; such an id is shared with a child only while that runs, and a child can neither signal a process nor open
a file. All are below 65536, so that containers with a range of ids have them, and none is `nobody` (65534).
"""

_CAPBSET_READ, _CAPBSET_DROP, _CAP_AMBIENT, _AMBIENT_CLEAR = 23, 24, 47, 4
_CAPABILITY_VERSION = 0x20080522
_CAPABILITIES = 64


def drop_bounding_set() -> None:
    """Empty the set that programs executed later could gain capabilities from: once in the process that forks children.

    Needs CAP_SETPCAP. Without it the set stays, which no_new_privs makes harmless.
    """
    for capability in range(_CAPABILITIES):
        held = system.prctl(_CAPBSET_READ, capability)
        if held < 0 or (held and system.prctl(_CAPBSET_DROP, capability) < 0):
            return


def drop(own_id: int) -> None:
    """No supplementary group, `own_id` as user and group when root, no capability. Raises OSError.

    In a user namespace without such an id, and in a container without CAP_SETUID, root stays root without
    capabilities: `ids` says so afterwards.
    """
    if 0 in os.getresuid():
        try:
            os.setgroups([])
            os.setresgid(own_id, own_id, own_id)
            os.setresuid(own_id, own_id, own_id)
        except OSError:
            pass  # EPERM, or EINVAL for an id that is not mapped: reported by the proof
        else:
            if os.getresuid() != (own_id,) * 3 or os.getresgid() != (own_id,) * 3 or os.getgroups():
                raise OSError("the ids did not change")
    system.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR)  # -EINVAL before Linux 4.3, which has none
    header = struct.pack("=II", _CAPABILITY_VERSION, 0)
    system.demand(system.call("capset", header, bytes(24)), "capset")


def capabilities() -> int:
    """All capabilities that this process has, may raise or hands on, as one set of bits. Raises OSError."""
    header = struct.pack("=II", _CAPABILITY_VERSION, 0)
    sets = system.buffer(24)
    system.demand(system.call("capget", header, sets), "capget")
    effective, permitted, inheritable, *upper = struct.unpack("=6I", sets.raw)
    return int((effective | permitted | inheritable) | (upper[0] | upper[1] | upper[2]) << 32)
