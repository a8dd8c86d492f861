"""What the benchmarks of archives share: sets of photos, the store, the servers of a run, and curl as the client."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.archive_sets import Photos, save
from bench.measure import MIB, free_port, running
from safelight.archives.plan import Literal

NGINX = """
daemon off; {process} pid {directory}/{name}.pid; error_log {directory}/{name}.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  {http}
  server {{ listen 127.0.0.1:{port} backlog=512; {server} }}
}}
"""
# Kept connections to the store, buffers as large as still made it faster (by itself: 8 KiB), nothing on disk.
RELAY = """
    location / {
      proxy_pass http://store; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffer_size 64k; proxy_buffers 8 256k; proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0;
    }
"""


class Server(NamedTuple):
    """A server process."""

    port: int
    pid: int


class Stage:
    """The photos of one run and the servers that deliver them; `sets`: name to number of photos and bytes of each."""

    def __init__(self, directory: Path, sets: dict[str, tuple[int, int]]) -> None:
        self.directory = directory
        self.bucket = directory / "root/bucket"
        self.sets = {name: Photos.write(self.bucket, name, count, size) for name, (count, size) in sets.items()}
        self.bytes = {name: photos.plan().size for name, photos in self.sets.items()}
        """Length of each archive."""
        self.log = directory / "servers.log"
        save(self.sets, directory / "sets.json")

    def slack(self, name: str) -> int:
        """Most bytes by which an archive of the same photos without receipt may be shorter."""
        return (self.sets[name].count + 1) * 256

    def keys(self, name: str) -> list[str]:
        """The object of each photo of a set."""
        return [entry.key for entry in self.sets[name].entries()]

    def write_archive(self, name: str) -> None:
        """The archive as one file `NAME.zip` beside the bucket, for the direct download."""
        with (self.directory / "root" / f"{name}.zip").open("wb") as out:
            for piece in self.sets[name].plan().read():
                if isinstance(piece, Literal):
                    out.write(piece.data)
                else:
                    with (self.bucket / piece.entry.key).open("rb") as source:
                        shutil.copyfileobj(source, out, MIB)

    @contextlib.contextmanager
    def store(self) -> Iterator[int]:
        """The fast store, far faster than any other: nginx serving files. Its port."""
        with self._nginx("store", "worker_processes 1;", "", f"root {self.directory}/root;") as server:
            yield server.port

    @contextlib.contextmanager
    def relay(self, store: int) -> Iterator[Server]:
        """nginx in front of the store: what a server in C needs to read from a store and send on.

        One process alone, so that its CPU time and memory are all there is.
        """
        upstream = f"upstream store {{ server 127.0.0.1:{store}; keepalive 16; }}"
        with self._nginx("relay", "master_process off;", upstream, RELAY) as server:
            yield server

    @contextlib.contextmanager
    def _nginx(self, name: str, process: str, http: str, server: str) -> Iterator[Server]:
        port = free_port()
        config = self.directory / f"{name}.conf"
        text = NGINX.format(process=process, directory=self.directory, name=name, http=http, port=port, server=server)
        config.write_text(("user root;" if os.getuid() == 0 and "master_process" not in process else "") + text)
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        with running([program, "-p", str(self.directory), "-c", str(config)], port, self.log) as started:
            yield Server(port, started.pid)

    @contextlib.contextmanager
    def server(self, name: str, store: int = 0, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
        """One of `bench.archive_servers`; `settings` are further variables of its environment."""
        port = free_port()
        environment = {
            "PORT": str(port), "STORE": f"http://127.0.0.1:{store}", "SETS": str(self.directory / "sets.json"),
            "ROOT": str(self.directory / "root"), **(settings or {}),
        }  # fmt: skip
        with running([sys.executable, "-m", "bench.archive_servers", name], port, self.log, environment) as process:
            yield Server(port, process.pid)

    def check(self, server: Server, name: str) -> None:
        """A first archive, read completely: a peer that delivers another one is no peer. Raises RuntimeError."""
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/{name}") as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
        got = [(info.filename, info.file_size, info.CRC, info.compress_type) for info in archive.infolist()]
        wanted = [(entry.name, entry.size, entry.crc32, zipfile.ZIP_STORED) for entry in self.sets[name].entries()]
        if archive.testzip() is not None or got[: len(wanted)] != wanted:
            raise RuntimeError(f"not the archive of {name}")


CURL = ["curl", "-s", "-S", "-f"]


def download(port: int, path: str, expected: int, slack: int = 0) -> float:
    """Seconds that curl takes for a whole download. Raises RuntimeError when it is not whole.

    `slack`: another layout of the same members may be shorter by that many bytes.
    """
    return _curl([f"http://127.0.0.1:{port}/{path}"], expected, slack)


def download_each(port: int, keys: list[str], expected: int, slack: int = 0) -> float:
    """Seconds for all objects one after another on one connection, without the moments between them."""
    return _curl([f"http://127.0.0.1:{port}/bucket/{key}" for key in keys], expected, slack)


def _curl(urls: list[str], expected: int, slack: int) -> float:
    command = [*CURL, "-w", "%{time_total} %{size_download} %{http_code}\n"]
    for url in urls:
        command += ["-o", "/dev/null", url]
    seconds, size = 0.0, 0
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        took, received, status = line.split()
        if status != "200":
            raise RuntimeError(f"status {status} for {urls[0]}")
        seconds, size = seconds + float(took), size + int(received)
    if not expected - slack <= size <= expected:
        raise RuntimeError(f"{urls[0]}: {size} of {expected} bytes")
    return seconds


def download_parallel(port: int, keys: list[str], connections: int) -> float:
    """Seconds for all objects straight from the store over many connections."""
    command = [*CURL, "-Z", "--parallel-immediate", "--parallel-max", str(connections)]
    for key in keys:
        command += ["-o", "/dev/null", f"http://127.0.0.1:{port}/bucket/{key}"]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began
