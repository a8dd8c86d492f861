"""An ASGI application that streams until the client leaves, and notes that it saw it leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

seen: list[str] = []


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Notes start and end."""
    seen.append("started")
    yield
    seen.append("ended")


async def stream(_request: Request) -> StreamingResponse:
    """Three pieces, then nothing for as long as the client stays."""

    async def pieces() -> AsyncIterator[bytes]:
        try:
            for number in range(3):
                yield b"%d" % number
            await asyncio.Event().wait()
        finally:
            seen.append("left")

    return StreamingResponse(pieces())


app = Starlette(routes=[Route("/stream", stream)], lifespan=lifespan)
