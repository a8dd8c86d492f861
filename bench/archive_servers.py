"""The servers that the benchmarks of archives start: ours, its peers, and a store with the latency of S3.

`python -m bench.archive_servers NAME` with PORT, STORE (its URL), ROOT (of the files) and SETS (`archive_sets.save`)
in the environment. Every server of archives answers GET /SET with the archive of that set.
"""

import asyncio
import os
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
from bench.distant import Store
from safelight.archives.fetch import Fetcher, renewing
from safelight.archives.memory import Window
from safelight.archives.plan import Plan
from safelight.archives.ranges import parse_range
from safelight.storage.signer import Credentials, Signer
from safelight.web.streaming import ArchiveResponse


def ours(store: str) -> Callable[[Request], Response]:
    """The product's answer, over the product's signed URLs."""
    sets = load(Path(os.environ["SETS"]))
    credentials = Credentials(os.environ.get("ACCESS_KEY", "a"), os.environ.get("SECRET_KEY", "b"))
    signer = Signer(credentials, "us-east-1", "bucket", store)
    fetcher = Fetcher(renewing(lambda: signer.get_urls(3600)), socket=os.environ.get("SOCKET"))
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


def main() -> None:
    """Run the server that the command line names."""
    name, port, store = sys.argv[1], int(os.environ["PORT"]), os.environ["STORE"]
    if name == "distant store":
        asyncio.run(Store(Path(os.environ["ROOT"]), validated=False).serve(port))
        return
    handler = ours(store) if name == "ours" else peer(name, store)

    async def answer(request: Request) -> Response:
        return handler(request)

    app = Starlette(routes=[Route("/{name}", answer)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
