"""The servers that the benchmarks of archives start: ours, its peers, and a store with the latency of S3.

`python -m bench.archive_servers NAME` with PORT, STORE (its URL), ROOT (of the files) and SETS (`archive_sets.save`)
in the environment. Every server of archives answers GET /SET with the archive of that set.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.archive_sets import load
from safelight.archives.fetch import Fetcher, renewing
from safelight.archives.memory import Window
from safelight.archives.plan import Plan
from safelight.archives.ranges import parse_range
from safelight.storage.signer import Credentials, Signer
from safelight.web.streaming import ArchiveResponse

FIRST_BYTE = 0.030
BYTES_PER_SECOND = 80_000_000


def ours(store: str) -> Callable[[Request], Response]:
    """The product's answer, over the product's signed URLs."""
    sets = load(Path(os.environ["SETS"]))
    signer = Signer(Credentials("a", "b"), "us-east-1", "bucket", store)
    fetcher = Fetcher(renewing(lambda: signer.get_urls(3600)))
    window = Window()

    @cache  # the layout is not what is compared here, but it costs 1 to 2 microseconds an entry
    def planned(name: str) -> Plan:
        return sets[name].plan()

    def answer(request: Request) -> Response:
        layout = planned(request.path_params["name"])
        requested = parse_range(request.headers.get("range"), size=layout.size, etag=layout.etag)
        return ArchiveResponse(layout, requested, fetcher, window)

    return answer


def peer(name: str, store: str) -> Callable[[Request], Response]:
    """One of `archive_peers.PEERS`."""
    from bench.archive_peers import PEERS, reader  # here, because no other server should carry boto3 in its memory

    sets = load(Path(os.environ["SETS"]))
    make, chunk = PEERS[name]
    read = reader(store, chunk)

    def answer(request: Request) -> Response:
        return make(sets[request.path_params["name"]], read)

    return answer


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
    name, port, store = sys.argv[1], int(os.environ["PORT"]), os.environ["STORE"]
    if name == "distant store":
        asyncio.run(distant_store(Path(os.environ["ROOT"]), port))
        return
    handler = ours(store) if name == "ours" else peer(name, store)

    async def answer(request: Request) -> Response:
        return handler(request)

    app = Starlette(routes=[Route("/{name}", answer)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
