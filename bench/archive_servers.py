"""The servers that `bench.archives` compares: ours, the usual way, and a store with the latency of S3.

`python -m bench.archive_servers NAME` with PORT, STORE (its URL) and FILES (JSON: name, size, crc32, etag) in the
environment. Every server answers GET /SET with the archive of that set.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import uvicorn
import zipstream
from botocore.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from safelight.archives.fetch import Fetcher
from safelight.archives.memory import Window
from safelight.archives.plan import Entry, Plan, plan
from safelight.archives.ranges import parse_range
from safelight.web.streaming import ArchiveResponse

STORE = os.environ.get("STORE", "")
FIRST_BYTE = 0.030
BYTES_PER_SECOND = 80_000_000


def files(name: str) -> list[Entry]:
    """The entries of a set."""
    return [Entry(*fields) for fields in json.loads(Path(os.environ["FILES"]).read_text())[name]]


@cache
def planned_archive(name: str) -> Plan:
    """The layout is not what is compared here, but it costs 1 to 2 microseconds an entry."""
    return plan(files(name))


def planned() -> Starlette:
    """Ours."""
    fetcher = Fetcher(lambda key: f"{STORE}/bucket/{key}")
    window = Window()

    async def answer(request: Request) -> Response:
        layout = planned_archive(request.path_params["name"])
        requested = parse_range(request.headers.get("range"), size=layout.size, etag=layout.etag)
        return ArchiveResponse(layout, requested, fetcher, window)

    return Starlette(routes=[Route("/{name}", answer)])


def naive() -> Starlette:
    """The usual way: zipstream-ng over boto3 bodies, 64 KiB at a time, under Starlette's StreamingResponse."""
    client: Any = boto3.client(
        "s3",
        endpoint_url=STORE,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(s3={"addressing_style": "path"}, response_checksum_validation="when_required"),
    )

    def body(key: str) -> Iterator[bytes]:
        yield from client.get_object(Bucket="bucket", Key=key)["Body"].iter_chunks(64 * 1024)

    async def answer(request: Request) -> Response:
        archive = zipstream.ZipStream(sized=True)
        for entry in files(request.path_params["name"]):
            archive.add(body(entry.key), entry.name, size=entry.size)
        headers = {"Content-Length": str(len(archive))}
        return StreamingResponse(iter(archive), media_type="application/zip", headers=headers)

    return Starlette(routes=[Route("/{name}", answer)])


async def distant_store(root: Path, port: int) -> None:
    """Files under `root`, the first byte after 30 ms and at most 80 MB/s on each connection, as from S3."""
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    listener.setblocking(False)
    tasks = set()
    while True:
        connection, _ = await loop.sock_accept(listener)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.create_task(_serve(root, connection))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _serve(root: Path, connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with connection:
        pending = b""
        while True:
            while b"\r\n\r\n" not in pending:
                received = await loop.sock_recv(connection, 65536)
                if not received:
                    return
                pending += received
            request, _, pending = pending.partition(b"\r\n\r\n")
            await _deliver(root, connection, request.decode("latin-1"))


async def _deliver(root: Path, connection: socket.socket, request: str) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(FIRST_BYTE)
    first, *lines = request.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    path = root / first.split()[1].partition("?")[0].lstrip("/")
    with path.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        start, stop, status = 0, size, "200 OK"
        if "range" in headers:
            low, _, high = headers["range"].removeprefix("bytes=").partition("-")
            start, stop, status = int(low), min(int(high) + 1, size), "206 Partial Content"
        extra = f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n" if "range" in headers else ""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {stop - start}\r\n{extra}\r\n"
        await loop.sock_sendall(connection, head.encode())
        began, at = loop.time(), start
        while at < stop:
            count = min(256 * 1024, stop - at)
            at += await loop.sock_sendfile(connection, source, at, count)
            ahead = (at - start) / BYTES_PER_SECOND - (loop.time() - began)
            if ahead > 0:
                await asyncio.sleep(ahead)


def main() -> None:
    """Run the server that the command line names."""
    name, port = sys.argv[1], int(os.environ["PORT"])
    if name == "distant_store":
        asyncio.run(distant_store(Path(os.environ["ROOT"]), port))
        return
    app = {"planned": planned, "naive": naive}[name]()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
