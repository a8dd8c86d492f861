"""What the account routes take and give."""

import datetime as dt
import json
import math
import uuid
from typing import Annotated, Literal, Self

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from safelight.quotas.schemas import QuotaOut
from safelight.text import Body, Storable

# An address has no more (RFC 5321, section 4.5.3.1.3, without the brackets), and a username fewer.
MAX_NAME = 254
MAX_PASSWORD_BYTES = 72
MAX_CODE = 200
MAX_SETTINGS_BYTES, MAX_SETTINGS_DEPTH = 8192, 10


def normal_email(value: str) -> str:
    """The one spelling of an address that is stored. Raises ValueError for what is none."""
    try:
        # Who runs this inside a company may well have addresses that the public internet does not know.
        return validate_email(value, check_deliverability=False, globally_deliverable=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error


def _password(value: str) -> str:
    if len(value.encode()) > MAX_PASSWORD_BYTES:
        raise ValueError(f"use at most {MAX_PASSWORD_BYTES} bytes")
    if not (any(c.isupper() for c in value) and any(c.islower() for c in value) and any(c.isdigit() for c in value)):
        raise ValueError("use at least one upper-case letter, one lower-case letter and one digit")
    if "\0" in value:
        raise ValueError("a password cannot hold a NUL character")
    return value


Email = Annotated[str, StringConstraints(max_length=MAX_NAME, strip_whitespace=True), AfterValidator(normal_email)]
NewPassword = Annotated[str, Field(min_length=8, max_length=MAX_PASSWORD_BYTES), AfterValidator(_password)]
# No "@": a name can then never be taken for somebody's address at login.
Username = Annotated[str, StringConstraints(min_length=3, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
KeyName = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), Storable]
GivenPassword = Annotated[str, Field(min_length=1, max_length=1024)]


def _storable_settings(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    waiting: list[tuple[JsonValue, int]] = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if depth > MAX_SETTINGS_DEPTH:
            raise ValueError(f"use at most {MAX_SETTINGS_DEPTH} levels")
        if isinstance(one, dict):
            waiting += [(part, depth + 1) for part in (*one, *one.values())]
        elif isinstance(one, list):
            waiting += [(part, depth + 1) for part in one]
        elif isinstance(one, str) and "\0" in one:
            raise ValueError("NUL characters cannot be stored")
        elif isinstance(one, float) and not math.isfinite(one):
            raise ValueError("a number must be finite")
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_SETTINGS_BYTES:  # ValueError for half a character
        raise ValueError(f"use at most {MAX_SETTINGS_BYTES} bytes as JSON")
    return value


UserSettings = Annotated[
    dict[str, JsonValue],
    AfterValidator(_storable_settings),
    Field(description="What the photographer's programs want to remember; the service reads none of it"),
]


Quota = Annotated[int, Field(strict=True, ge=0, le=2**53)]


class RegisterRequest(Body):
    email: Email
    password: NewPassword
    username: Username | None = None
    invitation: Annotated[
        str | None, Field(max_length=MAX_CODE, description="The code of an invitation, where accounts need one")
    ] = None


class LoginRequest(Body):
    email: str | None = Field(default=None, max_length=MAX_NAME)
    username: str | None = Field(default=None, max_length=MAX_NAME)
    password: GivenPassword

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.email is None) == (self.username is None):
            raise ValueError("give either an email or a username")
        return self

    @property
    def name(self) -> str:
        """Whichever was given."""
        return self.email or self.username or ""


class RefreshRequest(Body):
    refresh_token: str | None = Field(default=None, max_length=512)


class ConfirmRequest(Body):
    password: GivenPassword


class PasswordRequest(Body):
    current_password: GivenPassword
    new_password: NewPassword
    revoke_api_keys: Annotated[bool, Field(strict=True, description="End all API keys of the account as well")] = False


class UserPatch(Body):
    email: Email | None = None
    username: Username | None = None
    settings: UserSettings | None = None


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    email: str
    username: str | None
    created_at: dt.datetime


class MeOut(UserOut):
    settings: dict[str, JsonValue]
    quota: QuotaOut


class SessionOut(BaseModel):
    """One signed-in browser or program; `current` is the one that asks."""

    id: uuid.UUID
    created_at: dt.datetime
    last_used_at: dt.datetime
    expires_at: dt.datetime
    user_agent: str | None
    ip: str | None
    current: bool


type Scope = Literal["read", "upload", "share", "metrics", "operate", "admin"]


class ApiKeyCreate(Body):
    name: KeyName
    scopes: Annotated[set[Scope], Field(min_length=1, fail_fast=True)]


class ApiKeyOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: dt.datetime
    last_used_at: dt.datetime | None


class ApiKeyMade(ApiKeyOut):
    """The only answer that ever holds the key."""

    key: str


class AdminUserOut(UserOut):
    """`quota_bytes` and `quota_photos` were set for this account; `quota` is what holds, with what is stored."""

    is_active: bool
    is_admin: bool
    quota_bytes: int | None
    quota_photos: int | None
    quota: QuotaOut


class AdminUserPatch(Body):
    """`quota_bytes` and `quota_photos`: null is the service's default, 0 is no limit."""

    is_active: bool | None = None
    is_admin: bool | None = None
    quota_bytes: Quota | None = None
    quota_photos: Quota | None = None


class InvitationCreate(Body):
    email: Email


class InvitationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    email: str
    created_at: dt.datetime
    expires_at: dt.datetime


class InvitationMade(InvitationOut):
    """The only answer that ever holds the code; `url` is a page that uses it."""

    code: str
    url: str


class TokenPair(BaseModel):
    """RFC 6749 section 5.1; `expires_in` is seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name, not a token
    expires_in: int
