"""/auth: registration, sessions and the account itself."""

from typing import Annotated

from fastapi import Body, Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from safelight.accounts import service, sessions
from safelight.accounts.schemas import (
    LoginRequest,
    PasswordRequest,
    RefreshRequest,
    RegisterRequest,
    TokenPair,
    UserOut,
    UserPatch,
)
from safelight.models import User
from safelight.web import cookies
from safelight.web.app import create_app, lambda_handler
from safelight.web.deps import CallingClient, Config, CurrentUser, DbSession, Now

app = create_app("accounts")
# A browser brings its refresh token in a cookie and may send no body at all.
NO_BODY = RefreshRequest()


@app.post("/auth/register", status_code=201, response_model=UserOut)
def register(body: RegisterRequest, session: DbSession, config: Config, client: CallingClient) -> User:
    """Open an account."""
    secret, per_hour = config.jwt_secret.get_secret_value(), config.registrations_per_hour
    return service.register(session, body, client.ip, secret, per_hour)


@app.post("/auth/login")
def login(
    body: LoginRequest, response: Response, session: DbSession, config: Config, client: CallingClient, now: Now
) -> TokenPair:
    """Sign in with an e-mail or a username."""
    pair = sessions.sign_in(session, body.name, body.password, client, config.jwt_secret.get_secret_value(), now)
    cookies.set_refresh(response, config, pair.refresh_token)
    return pair


@app.post("/auth/token")
def token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    response: Response,
    session: DbSession,
    config: Config,
    client: CallingClient,
    now: Now,
) -> TokenPair:
    """Sign in with an OAuth2 password form, as the API documentation's Authorize button does."""
    pair = sessions.sign_in(session, form.username, form.password, client, config.jwt_secret.get_secret_value(), now)
    cookies.set_refresh(response, config, pair.refresh_token)
    return pair


@app.post("/auth/refresh")
def refresh(
    request: Request,
    response: Response,
    session: DbSession,
    config: Config,
    client: CallingClient,
    now: Now,
    body: Annotated[RefreshRequest, Body()] = NO_BODY,
) -> TokenPair:
    """Replace a refresh token (from the body or the cookie) by its successor."""
    given = cookies.given_refresh(request, config, body)
    pair = sessions.refresh(session, given, client, config.jwt_secret.get_secret_value(), now)
    cookies.set_refresh(response, config, pair.refresh_token)
    return pair


@app.post("/auth/logout", status_code=204)
def logout(
    request: Request,
    response: Response,
    session: DbSession,
    config: Config,
    now: Now,
    body: Annotated[RefreshRequest, Body()] = NO_BODY,
) -> None:
    """End the session that the refresh token belongs to."""
    sessions.end(session, cookies.given_refresh(request, config, body), now)
    cookies.clear_refresh(response, config)


@app.get("/auth/me", response_model=UserOut)
def me(user: CurrentUser) -> User:
    """The account that calls."""
    return user


@app.patch("/auth/me", response_model=UserOut)
def update_me(patch: UserPatch, user: CurrentUser, session: DbSession) -> User:
    """Change the e-mail or the username."""
    return service.update(session, user, patch)


@app.delete("/auth/me", status_code=204)
def delete_me(response: Response, user: CurrentUser, session: DbSession, config: Config, now: Now) -> None:
    """Close the account and erase everything in it."""
    service.delete(session, user, now)
    cookies.clear_refresh(response, config)


@app.post("/auth/password", status_code=204)
def change_password(
    body: PasswordRequest, request: Request, user: CurrentUser, session: DbSession, config: Config, now: Now
) -> None:
    """Set a new password; every other session ends."""
    keep = sessions.family_of(session, cookies.given_refresh(request, config, None))
    service.change_password(session, user, body, keep, config.jwt_secret.get_secret_value(), now)


handler = lambda_handler(app)
