"""/auth: registration, sessions and the account itself."""

import uuid
from typing import Annotated

from fastapi import Body, Depends, Response
from fastapi.security import OAuth2PasswordRequestForm

from safelight.accounts import api_keys, confirmation, invitations, registration, service, sessions
from safelight.accounts.schemas import (
    AdminUserOut,
    AdminUserPatch,
    ApiKeyCreate,
    ApiKeyMade,
    ApiKeyOut,
    ConfirmRequest,
    InvitationCreate,
    InvitationMade,
    InvitationOut,
    LoginRequest,
    MeOut,
    PasswordRequest,
    RefreshRequest,
    RegisterRequest,
    SessionOut,
    TokenPair,
    UserOut,
    UserPatch,
)
from safelight.erasures import service as erasures
from safelight.erasures.schemas import ErasureOut
from safelight.models import User
from safelight.pages import Page
from safelight.web.app import create_app, lambda_handler
from safelight.web.cookies import RefreshCookie
from safelight.web.deps import (
    PAGE,
    Admin,
    Administrator,
    CallingClient,
    Config,
    ConfirmedCaller,
    CurrentCaller,
    CurrentUser,
    Cursor,
    DbSession,
    Limit,
    Now,
)
from safelight.web.reports import locate_report

app = create_app("accounts")
# A browser brings its refresh token in a cookie and may send no body at all.
NO_BODY = RefreshRequest()


@app.post("/auth/register", status_code=201, response_model=UserOut)
def register(body: RegisterRequest, session: DbSession, config: Config, client: CallingClient, now: Now) -> User:
    """Open an account; by `REGISTRATION`, with an invitation or not at all."""
    secret, per_hour = config.token_secret, config.registrations_per_hour
    return registration.register(session, body, config.registration, client.ip, secret, per_hour, now)


@app.post("/auth/login")
def login(
    body: LoginRequest, cookie: RefreshCookie, session: DbSession, config: Config, client: CallingClient, now: Now
) -> TokenPair:
    """Sign in with an e-mail or a username."""
    secret = config.token_secret
    return cookie.keep(sessions.sign_in(session, body.name, body.password, client, secret, now))


@app.post("/auth/token")
def token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    cookie: RefreshCookie,
    session: DbSession,
    config: Config,
    client: CallingClient,
    now: Now,
) -> TokenPair:
    """Sign in with an OAuth2 password form, as the API documentation's Authorize button does."""
    secret = config.token_secret
    return cookie.keep(sessions.sign_in(session, form.username, form.password, client, secret, now))


@app.post("/auth/refresh")
def refresh(
    cookie: RefreshCookie,
    session: DbSession,
    config: Config,
    client: CallingClient,
    now: Now,
    body: Annotated[RefreshRequest, Body()] = NO_BODY,
) -> TokenPair:
    """Replace a refresh token (from the body or the cookie) by its successor."""
    secret = config.token_secret
    return cookie.keep(sessions.refresh(session, cookie.given(body), client, secret, now))


@app.post("/auth/logout", status_code=204)
def logout(
    cookie: RefreshCookie, session: DbSession, now: Now, body: Annotated[RefreshRequest, Body()] = NO_BODY
) -> None:
    """End the session that the refresh token belongs to."""
    sessions.end(session, cookie.given(body), now)
    cookie.clear()


@app.get("/auth/me")
def me(user: CurrentUser, session: DbSession) -> MeOut:
    """The account that calls, with its quota and what it stores."""
    return service.show(session, user)


@app.patch("/auth/me")
def update_me(
    patch: UserPatch, caller: CurrentCaller, session: DbSession, config: Config, client: CallingClient, now: Now
) -> MeOut:
    """Change the e-mail, the username (both need a confirmed password) or what my programs remember."""
    secret, per_hour = config.token_secret, config.registrations_per_hour
    return service.update(session, caller.user, caller.session_id, patch, client.ip, secret, per_hour, now)


@app.delete("/auth/me", status_code=204)
def delete_me(response: Response, cookie: RefreshCookie, caller: ConfirmedCaller, session: DbSession, now: Now) -> None:
    """Close the account and erase everything in it; `Location` is the report of it."""
    locate_report(response, service.delete(session, caller.user, caller.session_id, now))
    cookie.clear()


@app.post("/auth/password", status_code=204)
def change_password(body: PasswordRequest, caller: CurrentCaller, session: DbSession, config: Config, now: Now) -> None:
    """Set a new password; every other session ends, and every API key if `revoke_api_keys` says so."""
    secret = config.token_secret
    service.change_password(session, caller.user, body, caller.session_id, secret, now)


@app.post("/auth/confirm", status_code=204)
def confirm_password(body: ConfirmRequest, caller: CurrentCaller, session: DbSession, config: Config, now: Now) -> None:
    """Give the password again, which opens sensitive calls to this session for ten minutes."""
    secret = config.token_secret
    confirmation.confirm(session, caller.user, caller.session_id, body.password, secret, now)


@app.get("/auth/sessions")
def list_sessions(caller: CurrentCaller, session: DbSession, now: Now) -> list[SessionOut]:
    """Where I am signed in, last used first."""
    return sessions.list_live(session, caller.user.id, caller.session_id, now)


@app.delete("/auth/sessions/{session_id}", status_code=204)
def revoke_session(session_id: uuid.UUID, caller: CurrentCaller, session: DbSession, now: Now) -> None:
    """Sign a browser or program out, at its next request."""
    sessions.revoke(session, caller.user.id, caller.session_id, session_id, now)


@app.post("/auth/api-keys", status_code=201)
def create_api_key(body: ApiKeyCreate, response: Response, caller: ConfirmedCaller, session: DbSession) -> ApiKeyMade:
    """Make an API key; it is shown this once."""
    response.headers["Cache-Control"] = "no-store"
    return api_keys.make(session, caller.user.id, caller.session_id, body)


@app.get("/auth/api-keys")
def list_api_keys(user: CurrentUser, session: DbSession, limit: Limit = PAGE, cursor: Cursor = None) -> Page[ApiKeyOut]:
    """My API keys, newest first."""
    return api_keys.list_page(session, user.id, limit, cursor)


@app.delete("/auth/api-keys/{key_id}", status_code=204)
def revoke_api_key(key_id: uuid.UUID, caller: CurrentCaller, session: DbSession, now: Now) -> None:
    """End an API key at once."""
    api_keys.revoke(session, caller.user.id, caller.session_id, key_id, now)


@app.get("/erasures/{erasure_id}")
def get_erasure(erasure_id: uuid.UUID, session: DbSession) -> ErasureOut:
    """How far a deletion is; only whoever deleted was told the address, and it names nobody."""
    return erasures.show(session, erasure_id)


@app.get("/admin/users")
def list_users(_admin: Admin, session: DbSession, limit: Limit = PAGE, cursor: Cursor = None) -> Page[AdminUserOut]:
    """All accounts, newest first; administrators only."""
    return service.list_users(session, limit, cursor)


@app.patch("/admin/users/{user_id}")
def administer_user(
    user_id: uuid.UUID, patch: AdminUserPatch, admin: Administrator, session: DbSession, now: Now
) -> AdminUserOut:
    """Deactivate an account, let it in again, make it an administrator's, or set its quota; administrators only."""
    return service.administer(session, admin.user, admin.session_id, user_id, patch, now)


@app.get("/admin/invitations")
def list_invitations(
    _admin: Admin, session: DbSession, now: Now, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[InvitationOut]:
    """Invitations that can still be used, newest first; administrators only."""
    return invitations.list_page(session, limit, cursor, now)


@app.post("/admin/invitations", status_code=201)
def invite(
    body: InvitationCreate, response: Response, admin: Administrator, session: DbSession, config: Config, now: Now
) -> InvitationMade:
    """Invite a person to open an account; the code is shown this once. Administrators only."""
    response.headers["Cache-Control"] = "no-store"
    email, mode, url = body.email, config.registration, config.base_url
    return invitations.invite(session, admin.user, admin.session_id, email, mode, url, now)


@app.delete("/admin/invitations/{invitation_id}", status_code=204)
def withdraw_invitation(invitation_id: uuid.UUID, admin: Administrator, session: DbSession, now: Now) -> None:
    """End an invitation at once; administrators only."""
    invitations.withdraw(session, admin.user, admin.session_id, invitation_id, now)


handler = lambda_handler(app)
