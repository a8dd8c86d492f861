"""/health, /metrics, /admin and the API's documentation."""

import uuid

from fastapi import Response
from fastapi.responses import HTMLResponse

from safelight.reprocessing import service as reprocessing
from safelight.reprocessing.schemas import ReprocessingOut, ReprocessRequest
from safelight.web import docs, health, metrics, pages
from safelight.web.app import create_app, lambda_handler
from safelight.web.deps import Admin, DbSession, JobQueue

app = create_app("operations")


@app.head("/health", name="head_health")
@app.get("/health")
def get_health(response: Response) -> health.Health:
    """Whether the service can do its work."""
    return health.check(response)


@app.get("/metrics")
def get_metrics(_admin: Admin, session: DbSession) -> Response:
    """Gauges for Prometheus; administrators and their keys with the scope `metrics` only."""
    return Response(metrics.render(session), media_type=metrics.MEDIA_TYPE)


@app.get("/openapi.json", include_in_schema=False)
def get_openapi() -> Response:
    """The whole API's OpenAPI document."""
    return Response(docs.openapi(), media_type="application/json", headers={"Cache-Control": "public, max-age=300"})


@app.get("/docs", include_in_schema=False)
def get_docs() -> HTMLResponse:
    """The API to read and to try."""
    return docs.page()


@app.get("/docs/{asset}", include_in_schema=False)
def get_docs_asset(asset: str) -> Response:
    """A script or style of that page."""
    return docs.asset(asset)


@app.get("/join", include_in_schema=False)
def get_join() -> Response:
    """Where an invited person opens an account."""
    return pages.join()


@app.get("/assets/{asset}", include_in_schema=False)
def get_asset(asset: str) -> Response:
    """A script or style of the visitor's page."""
    return pages.asset(asset)


@app.post("/admin/galleries/{gallery_id}/reprocess", status_code=202)
def reprocess_gallery(
    gallery_id: uuid.UUID, request: ReprocessRequest, _admin: Admin, session: DbSession, queue: JobQueue
) -> ReprocessingOut:
    """Make a gallery's renditions or figures again, or join whoever does; administrators only."""
    return reprocessing.request(session, queue, gallery_id, request.what)


@app.get("/admin/reprocessings/{reprocessing_id}")
def get_reprocessing(reprocessing_id: uuid.UUID, _admin: Admin, session: DbSession) -> ReprocessingOut:
    """How far it is; administrators only."""
    return reprocessing.show(session, reprocessing_id)


handler = lambda_handler(app)
