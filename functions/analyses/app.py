"""/analyses, and what they say about a gallery."""

from fastapi import Request, Response

from safelight.analyses import choosing, service
from safelight.analyses.schemas import (
    AnalysisCreated,
    AnalysisOut,
    AnalysisStatus,
    Culling,
    PhotoAnalysis,
    UploadAnalysis,
)
from safelight.pages import Page
from safelight.web.analyses import LockedAnalysis, OwnAnalysis
from safelight.web.app import create_app, lambda_handler
from safelight.web.conditional import conditional
from safelight.web.deps import (
    PAGE,
    Config,
    CurrentUser,
    Cursor,
    DbSession,
    JobQueue,
    Limit,
    OwnGallery,
    PublicSigner,
    Store,
)

app = create_app("analyses")


@app.post("/analyses", status_code=201)
def create_analysis(
    request: PhotoAnalysis | UploadAnalysis,
    user: CurrentUser,
    session: DbSession,
    signer: PublicSigner,
    queue: JobQueue,
    config: Config,
) -> AnalysisCreated:
    """Analyse a photo, or announce a file to analyse and get the form to upload it with."""
    return service.request(session, signer, queue, config.token_secret, user.id, request)


@app.get("/analyses")
def list_analyses(
    user: CurrentUser,
    session: DbSession,
    limit: Limit = PAGE,
    cursor: Cursor = None,
    status: AnalysisStatus | None = None,
) -> Page[AnalysisOut]:
    """One's analyses, newest first."""
    return service.list_page(session, user.id, limit, cursor, status)


@app.post("/analyses/{analysis_id}/complete")
def complete_analysis(analysis: LockedAnalysis, session: DbSession, store: Store, queue: JobQueue) -> AnalysisOut:
    """Say that the upload is done; the analysis starts."""
    return AnalysisOut.model_validate(service.complete(session, store, queue, analysis))


@app.get("/analyses/{analysis_id}", response_model=AnalysisOut)
def get_analysis(analysis: OwnAnalysis, request: Request) -> Response:
    """One analysis."""
    return conditional(request, service.etag(analysis), AnalysisOut.model_validate(analysis))


@app.delete("/analyses/{analysis_id}", status_code=204)
def delete_analysis(analysis: LockedAnalysis, session: DbSession) -> None:
    """Forget an analysis; the photo stays."""
    service.delete(session, analysis)


@app.get("/galleries/{gallery_id}/culling", response_model=Culling)
def get_culling(
    gallery: OwnGallery, request: Request, session: DbSession, limit: Limit = PAGE, cursor: Cursor = None
) -> Response:
    """Bursts and near-duplicates of a gallery, each with its best frame and why."""
    tag = choosing.etag(session, gallery.id, limit, cursor)
    return conditional(request, tag, lambda: choosing.page(session, gallery.id, limit, cursor))


handler = lambda_handler(app)
