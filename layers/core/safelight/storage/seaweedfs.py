"""The embedded SeaweedFS's own interfaces, behind S3: HTTP and `weed shell`, with its certificate."""

import http.client
import json
import re
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

_ASK_SECONDS = 10.0
_CHECK_SECONDS = 300.0  # 4 s for 100,000 objects
_COMPACT_SECONDS = 3600.0  # 2.4 to 6.6 s for a volume of 1 GiB
_THRESHOLD = "1e-9"  # the share of a volume that must be garbage: a small photo in a full volume is 4e-5


class Failed(Exception):
    """The store answered, but did not do what it was asked for. The text says what that was."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One file of the store's. `revision` counts its compactions, modulo 65,536; `deleted` and `size` are bytes."""

    revision: int
    deleted: int
    size: int
    read_only: bool


@dataclass(frozen=True, slots=True)
class Control:
    """A running store. Raises OSError, HTTPException or TimeoutExpired when it does not answer, else Failed.

    `master` and `volume` are addresses, `shell` is the command line of `weed shell`. They change at each start of the
    store, as the certificates in `folder` do.
    """

    folder: Path
    master: str
    volume: str
    shell: list[str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The store that runs in `folder` now. Raises FileNotFoundError while it is not ready."""
        known = json.loads((folder / "control.json").read_text())
        return cls(folder, known["master"], known["volume"], known["shell"])

    def volumes(self) -> dict[int, Volume]:
        """Every volume by its number."""
        answer = json.loads(self._get(f"{self.volume}/status", _ASK_SECONDS))
        return {
            one["Id"]: Volume(one["CompactRevision"], one["DeletedByteCount"], one["Size"], one["ReadOnly"])
            for one in answer["Volumes"] or []
        }

    def compact(self) -> None:
        """Copy each volume that has deleted bytes without them, but for those that are read-only.

        While another compaction runs this returns at once and does nothing.
        """
        self._get(f"{self.master}/vol/vacuum?garbageThreshold={_THRESHOLD}", _COMPACT_SECONDS)

    def compact_one(self, number: int) -> None:
        """The same for one volume, even a read-only one."""
        self._run(f"lock\nvolume.vacuum -garbageThreshold={_THRESHOLD} -volumeId={number}\nunlock\n", _COMPACT_SECONDS)

    def orphans(self, older_than: float) -> int:
        """How many pieces, older than so many seconds, belong to no object and are not marked as deleted."""
        output = self._run(f"lock\nvolume.fsck -cutoffTimeAgo={older_than:.3f}s\nunlock\n", _CHECK_SECONDS)
        found = re.search(r"^Total\s.*\borphan:(\d+)", output, re.MULTILINE)
        if found is None:
            raise Failed("volume.fsck")
        return int(found[1])

    def forget_changes(self, days: int) -> None:
        """Delete what the filer logged before so many days: keys, sizes and MD5 of objects written and deleted."""
        self._run(f"fs.log.purge -daysAgo {days}\n", _CHECK_SECONDS)

    def _get(self, url: str, seconds: float) -> bytes:
        target = urlsplit(url)
        assert target.hostname is not None
        connection: http.client.HTTPConnection
        if target.scheme == "https":
            tls = ssl.create_default_context(cafile=self.folder / "ca.pem")
            tls.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
            connection = http.client.HTTPSConnection(target.hostname, target.port, timeout=seconds, context=tls)
        else:
            connection = http.client.HTTPConnection(target.hostname, target.port, timeout=seconds)
        try:
            connection.request("GET", f"{target.path}?{target.query}")
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise Failed(f"{target.path} ({answer.status})")
        return body

    def _run(self, script: str, seconds: float) -> str:
        done = subprocess.run(  # noqa: S603 - the command line is written by whoever starts the store
            self.shell,
            input=script,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=self.folder,  # where it finds settings and certificates, and nothing in HOME overrides them
            env={"HOME": str(self.folder)},
            timeout=seconds,
            check=False,
        )
        return done.stdout
