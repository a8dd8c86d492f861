"""The ports of the object store. All but S3's are chosen at each start, so nobody can wait on one for the store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local import private
from local.process import StartError, free_ports, is_free
from local.sealcheck import Endpoint

S3 = "s3.port"
VOLUME = "volume.port"
SEALED = (
    *("s3.port.grpc", "filer.port", "filer.port.grpc"),
    *("volume.port.grpc", "master.port", "master.port.grpc"),
)
"""The ports that demand a certificate, named as the program's flags."""

_ATTEMPTS = 20
_S3_SOCKET = "s3.sock"
_LONGEST_PATH = 100
"""Of a Unix socket, in bytes: Linux takes 107 and macOS 103 (sys/un.h)."""


def remembered(folder: Path) -> int | None:
    """S3's port of the last start; None before the first."""
    port: int | None = _last(folder).get(S3)
    return port


def refuse_taken(s3: int | None) -> None:
    """Raise StartError when S3's port is given and another program uses it."""
    if s3 is not None and not is_free(s3):
        raise StartError(
            f"Port {s3} of 127.0.0.1, the object store's, is used by another program. "
            f"Stop that program, or choose another port: S3_PORT={s3 + 1} make up"
        )


def choose(folder: Path, s3: int | None) -> dict[str, int]:
    """New ports by flag, noted in `ports.json`; S3's is `s3` where given. Raises StartError when it is taken."""
    refuse_taken(s3)
    remove_sockets(_last(folder))  # of a start that was killed
    for _ in range(_ATTEMPTS):
        ports = dict(zip((S3, VOLUME, *SEALED), free_ports(2 + len(SEALED)), strict=True))
        if s3 is not None:
            ports[S3] = s3
        if len(set(ports.values())) == len(ports) and all(map(_remove, sockets(ports).values())):
            private.write(folder / "ports.json", json.dumps(ports))
            return ports
    raise StartError("The sockets that the object store needs in /tmp exist already and belong to another user")


def sealed(ports: Mapping[str, int], *, s3: bool) -> list[Endpoint]:
    """Every port and gRPC socket that must demand a certificate; those of S3 only where it runs."""
    names = [name for name in SEALED if s3 or not name.startswith("s3.")]
    grpc = sockets({name: ports[name] for name in names})
    return [*(ports[name] for name in names), *grpc.values()]


def s3_socket(folder: Path) -> Path:
    """S3's Unix socket: in the store's folder, or in a private one of /tmp where that is too long.

    The link `sockets` leads to the latter, so that it is used again.
    """
    path = folder / _S3_SOCKET
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    link = folder / "sockets"
    if not (link.is_symlink() and private.is_own_folder(link.readlink())):
        link.unlink(missing_ok=True)
        link.symlink_to(tempfile.mkdtemp(prefix="safelight-"))
    return link.readlink() / _S3_SOCKET


def sockets(ports: Mapping[str, int]) -> dict[str, Path]:
    """The gRPC servers' Unix sockets by flag. The program names them by their ports and nothing can move them."""
    return {
        name: Path(f"/tmp/seaweedfs-{name.partition('.')[0]}-grpc-{port}.sock")  # noqa: S108 - its choice
        for name, port in ports.items()
        if name.endswith(".grpc")
    }


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets of a store that has ended; one whose port is used again is left alone."""
    for name, path in sockets(ports).items():
        if is_free(ports[name]):
            _remove(path)


def _last(folder: Path) -> dict[str, int]:
    try:
        ports: dict[str, int] = json.loads((folder / "ports.json").read_text())
    except FileNotFoundError:
        return {}
    return ports


def _remove(path: Path) -> bool:
    """Whether it is gone; what another user made in /tmp stays."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
