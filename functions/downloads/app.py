"""/s/{share_id}/download/all: a gallery as one ZIP. Runs under uvicorn, because only then can it stream."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from safelight.telemetry import logger
from safelight.web.app import create_app
from safelight.web.archive import Archives, archive_response, closing_engine
from safelight.web.visitor import Db, LiveVisit

app = create_app("downloads", lifespan=closing_engine)
logger()
Size = Annotated[Literal["original", "web"] | None, Query()]


@app.get("/s/{share_id}/download/all")
def download_all(request: Request, visit: LiveVisit, connection: Db, archives: Archives, size: Size = None) -> Response:
    """All photos of a link as one ZIP that can be resumed at any byte."""
    return archive_response(request, visit, connection, archives, size)


@app.head("/s/{share_id}/download/all")
def head_download_all(
    request: Request, visit: LiveVisit, connection: Db, archives: Archives, size: Size = None
) -> Response:
    """The size and the validator of that ZIP; counts nothing."""
    return archive_response(request, visit, connection, archives, size)


@app.get("/healthz", include_in_schema=False)
def healthz() -> Response:
    """Whether the process serves; asked by the adapter on the same machine."""
    return Response(status_code=204)
