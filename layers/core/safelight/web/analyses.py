"""The analysis of the path, as types: loaded, authorised and answered 404 once for every route that names it."""

import uuid
from typing import Annotated

from fastapi import Depends

from safelight.analyses import service
from safelight.models import Analysis
from safelight.web.deps import CurrentUser, DbSession


def get_analysis(session: DbSession, user: CurrentUser, analysis_id: uuid.UUID) -> Analysis:
    """The caller's analysis of the path."""
    return service.get_owned(session, user.id, analysis_id)


def get_locked_analysis(session: DbSession, user: CurrentUser, analysis_id: uuid.UUID) -> Analysis:
    """The caller's analysis, locked until the request's transaction ends."""
    return service.get_owned(session, user.id, analysis_id, lock=True)


OwnAnalysis = Annotated[Analysis, Depends(get_analysis)]
LockedAnalysis = Annotated[Analysis, Depends(get_locked_analysis)]
