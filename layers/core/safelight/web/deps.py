"""Who may call, as types: each alias loads, authorises and answers 401 or 404 once for every route that names it."""

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from sqlalchemy.orm import Session

from safelight import clock, storage
from safelight.accounts import api_keys, confirmation, sessions
from safelight.accounts.sessions import Client
from safelight.config import Settings, settings
from safelight.db.engine import transaction
from safelight.errors import Forbidden, Unauthorized
from safelight.galleries import service as galleries
from safelight.jobs import wake
from safelight.models import Gallery, Photo, User
from safelight.pages import DEFAULT_LIMIT, MAX_LIMIT
from safelight.photos import service as photos
from safelight.queue import Queue
from safelight.shares import service as shares
from safelight.shares.queries import Counted
from safelight.shares.slugs import Chooser
from safelight.storage.light import LightStore
from safelight.storage.signer import Signer
from safelight.telemetry import note
from safelight.web import policy
from safelight.web.caller import address
from safelight.web.schemes import AccessToken, ApiKey


def get_session() -> Iterator[Session]:
    """The request's transaction."""
    with transaction() as session:
        yield session


# FastAPI's default scope would commit after the answer has left: a failing commit must never be a 201.
DbSession = Annotated[Session, Depends(get_session, scope="function")]
Now = Annotated[dt.datetime, Depends(clock.now)]
Config = Annotated[Settings, Depends(settings)]
PublicSigner = Annotated[Signer, Depends(storage.signer)]
Store = Annotated[LightStore, Depends(storage.light_store)]


JobQueue = Annotated[Queue, Depends(wake.queue)]


def get_client(request: Request) -> Client:
    """The caller's address and program."""
    return Client(user_agent=request.headers.get("user-agent"), ip=address(request))


CallingClient = Annotated[Client, Depends(get_client)]


@dataclass(frozen=True, slots=True)
class Caller:
    """The photographer who calls, and in which session; None with an API key, which has none."""

    user: User
    session_id: uuid.UUID | None


def get_caller(
    request: Request,
    session: DbSession,
    config: Config,
    token: AccessToken,
    key: ApiKey,
) -> Caller:
    """Who calls, with an access token or an API key that may do this. Raises Unauthorized, KeyNotAllowed."""
    return recognise(request, session, config, token, key)


def recognise(
    request: Request, session: Session, config: Settings, token: str | None, key: str | None, *, whole: bool = True
) -> Caller:
    """As `get_caller`; when not `whole`, only the id of the caller's account is read."""
    if token:
        caller = Caller(*sessions.caller(session, token, config.token_secret, whole=whole))
    elif key:
        user, scopes = api_keys.use(session, key, whole=whole)
        policy.allow_key(request, set(scopes))
        caller = Caller(user, None)
    else:
        raise Unauthorized
    note(user_id=caller.user.id)
    return caller


CurrentCaller = Annotated[Caller, Depends(get_caller)]


def get_user(caller: CurrentCaller) -> User:
    """The photographer who calls."""
    return caller.user


CurrentUser = Annotated[User, Depends(get_user)]


def get_confirmed(session: DbSession, caller: CurrentCaller, now: Now) -> Caller:
    """The photographer who calls and has given the password within ten minutes. Raises ConfirmationRequired."""
    confirmation.require(session, caller.session_id, now)
    return caller


ConfirmedCaller = Annotated[Caller, Depends(get_confirmed)]


def get_admin(user: CurrentUser) -> User:
    """An administrator."""
    if not user.is_admin:
        raise Forbidden("Only an administrator may see this")
    return user


Admin = Annotated[User, Depends(get_admin)]


def get_administrator(_admin: Admin, caller: ConfirmedCaller) -> Caller:
    """An administrator, in a session, who has given the password within ten minutes."""
    return caller


Administrator = Annotated[Caller, Depends(get_administrator)]


def get_gallery(session: DbSession, user: CurrentUser, gallery_id: uuid.UUID) -> Gallery:
    """The caller's gallery of the path."""
    return galleries.get_owned(session, user.id, gallery_id)


def get_photo(session: DbSession, user: CurrentUser, photo_id: uuid.UUID) -> Photo:
    """The caller's photo of the path."""
    photo = photos.get_owned(session, user.id, photo_id)
    note(gallery_id=photo.gallery_id)
    return photo


def get_locked_photo(session: DbSession, user: CurrentUser, photo_id: uuid.UUID) -> Photo:
    """The caller's photo, locked until the request's transaction ends."""
    photo = photos.get_owned(session, user.id, photo_id, lock=True)
    note(gallery_id=photo.gallery_id)
    return photo


def get_share(session: DbSession, user: CurrentUser, share_id: uuid.UUID) -> Counted:
    """The caller's share link of the path, with its counters."""
    counted = shares.get_owned(session, user.id, share_id)
    note(gallery_id=counted[0].gallery_id)
    return counted


def get_chooser(user: CurrentUser, config: Config) -> Chooser:
    """The caller, who may choose slugs of links."""
    return Chooser(user.id, config.token_secret)


OwnGallery = Annotated[Gallery, Depends(get_gallery)]
OwnPhoto = Annotated[Photo, Depends(get_photo)]
OwnLockedPhoto = Annotated[Photo, Depends(get_locked_photo)]
OwnShare = Annotated[Counted, Depends(get_share)]
SlugChooser = Annotated[Chooser, Depends(get_chooser)]

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most")]
Cursor = Annotated[str | None, Query(max_length=300, description="`next_cursor` of the page before")]
PAGE = DEFAULT_LIMIT
