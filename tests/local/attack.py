"""What tests of closed endpoints share: the endpoints of a process tree, and the attacker who tries them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

import psutil

from local import certificates
from local.objectstore import program

NOBODY = 65534
WHO: dict[str, int | None] = {"without a certificate": None}
if os.geteuid() == 0:
    WHO["as nobody"] = NOBODY
_ATTACKER = Path(__file__).with_name("attacker.py")
_LISTENING = "00010000"  # __SO_ACCEPTCON, proc(5)


def endpoints_of(pid: int) -> list[int | str]:
    """TCP ports and paths of Unix sockets on which the process and its descendants listen; all ports on 127.0.0.1."""
    endpoints: set[int | str] = set()
    process = psutil.Process(pid)
    for member in (process, *process.children(recursive=True)):
        for connection in member.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1", connection
                endpoints.add(connection.laddr.port)
            assert connection.status != psutil.CONN_NONE, f"UDP: {connection}"
        endpoints |= {str(Path(member.cwd(), path)) for path in _unix_sockets(member.pid)}
    return sorted(endpoints, key=str)


def _unix_sockets(pid: int) -> Iterator[str]:
    open_files = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            open_files.add(str(descriptor.readlink()))
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENING and f"socket:[{fields[6]}]" in open_files:
            yield fields[7]


@contextlib.contextmanager
def forged(uid: int | None) -> Iterator[Path]:
    """A folder with certificates like the store's, of another authority, and `weed` settings that use them."""
    folder = Path(tempfile.mkdtemp(prefix="attacker-"))
    try:
        certificates.make(folder)
        ca, cert, key = (folder / name for name in (certificates.AUTHORITY, certificates.CERTIFICATE, certificates.KEY))
        (folder / "security.toml").write_text(
            f'[grpc]\nca = "{ca}"\n[grpc.client]\ncert = "{cert}"\nkey = "{key}"\n'
            f'[https.client]\nenabled = true\nca = "{ca}"\ncert = "{cert}"\nkey = "{key}"\n'
        )
        if uid is not None:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, uid, uid)
        yield folder
    finally:
        shutil.rmtree(folder)


def run_attacker(
    endpoints: Iterable[int | str],
    uid: int | None,
    *,
    secrets: Iterable[str],
    ports: Mapping[str, int] | None = None,
    bucket: str = "safelight",
) -> list[str]:
    """What the attacker got, a line each. With the store's `ports` it also tries `weed shell`."""
    with forged(uid) as folder, program().open("rb") as weed:
        shells = []
        if ports is not None:
            where = {part: f"{ports[f'{part}.port']}.{ports[f'{part}.port.grpc']}" for part in ("master", "filer")}
            shells = [[f"-{part}=127.0.0.1:{address}" for part, address in where.items()]]
        plan = {
            "uid": uid,
            "bucket": bucket,
            "endpoints": list(endpoints),
            "certificate": [str(folder / certificates.CERTIFICATE), str(folder / certificates.KEY)],
            "weed": weed.fileno() if ports is not None else None,
            "shells": shells,
            "folder": str(folder),
            "secrets": list(secrets),
        }
        done = subprocess.run(
            [sys.executable, "-I", "-S", _ATTACKER],
            input=json.dumps(plan),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            pass_fds=[weed.fileno()],
        )
    assert done.returncode == 0, done.stderr
    return cast("list[str]", json.loads(done.stdout))


def beyond_the_known(given: Iterable[str], ports: Mapping[str, int], secrets: Iterable[str]) -> list[str]:
    """What the attacker got besides that the store runs, and where and how full its volumes are.

    S3 says the former to everybody. The volume server, whose port demands tokens for data alone, says the latter, and
    answers every preflight; the request that would follow is refused.
    """
    s3, volume = ports["s3.port"], ports["volume.port"]
    known = re.compile(
        rf"http {s3} (GET|HEAD) /(healthz|readyz|status): (a page of \S+ may read )?200 b''"
        rf"|http {volume} \w+ /(healthz|readyz): 200 b''"
        rf"|http {volume} \w+ /status: 200 b'.*"
        rf"|http {volume} OPTIONS \S+: (a page of \S+ may read )?200 b''"
    )
    hidden = list(secrets)
    return [line for line in given if not known.fullmatch(line) or any(secret in line for secret in hidden)]
