"""Typed settings, read from the environment once."""

import ipaddress
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json, SecretStr, ValidationError, model_validator

from safelight import addresses
from safelight.published import MIN_SECRET, is_published

MIB = 1024 * 1024
MAX_PHOTO_BYTES = 15 * MIB


def _networks(value: object) -> object:
    return addresses.networks(value) if isinstance(value, str) else value


type Registration = Literal["open", "invite", "closed"]
"""Who may open an account: everyone, people with an invitation, or no one."""


def is_loopback(url: str) -> bool:
    """Whether only this machine reaches the host of `url`: `localhost` (RFC 6761) or a loopback address."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _default_registration(known: dict[str, Any]) -> Registration:
    # A service on the internet gives storage and processor time to no stranger unless its operator says so.
    return "open" if is_loopback(known.get("base_url", "")) else "closed"


class Settings(BaseModel):
    """What one process runs with. Each field is the environment variable of the same name in upper case.

    Sizes are bytes. `s3_endpoint` None means AWS (virtual-hosted addressing); with an endpoint, addressing is by path.
    `s3_public_endpoint` is the host that browsers are sent to, when it differs from the one the server uses.
    `s3_socket` is the path of a Unix socket by which the server itself reaches an http:// `s3_endpoint`.
    `seaweedfs_control` is the folder of the embedded store, which keeps deleted bytes until it is told to compact.
    `database_passwords` are those of the roles in `safelight.roles`: the migration gives them to the roles, and a
    process that runs several functions connects with them (docs/decisions/0018).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: Literal["local", "dev", "staging", "prod"] = "local"
    log_level: str = "INFO"
    base_url: str = "http://127.0.0.1:8000"
    # Whose word about the address of a client is believed (docs/decisions/0014).
    trusted_proxies: Annotated[tuple[addresses.Network, ...], BeforeValidator(_networks)] = ()
    origin_secret: SecretStr | None = None

    database_url: SecretStr
    database_passwords: Json[dict[str, SecretStr]] = Field(default_factory=dict)
    # Serverless processes serve one request at a time; the local gateway serves many and asks for more.
    database_pool: int = Field(default=1, ge=1, le=50)
    # Functions that neither sign nor check tokens have none; see `token_secret`.
    jwt_secret: SecretStr | None = None
    registration: Registration = Field(default_factory=_default_registration)
    # From one address, for it tells whether an e-mail address has an account here.
    registrations_per_hour: int = Field(default=20, ge=1)
    # What an account may store, unless an administrator set it; 0 is no limit. None: `quotas.service` chooses.
    quota_bytes: int | None = Field(default=None, ge=0)
    quota_photos: int | None = Field(default=None, ge=0)

    bucket: str
    aws_region: str = "us-east-1"
    s3_endpoint: str | None = None
    s3_public_endpoint: str | None = None
    s3_socket: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    seaweedfs_control: Path | None = None

    # Whether files from outside are only opened in a process that is proved to be confined (docs/decisions/0012), or
    # the platform is what confines them.
    sandbox: Literal["required", "platform"] = "required" if sys.platform == "linux" else "platform"
    aws_lambda_function_name: str | None = None

    archive_stream_limit: int | None = Field(default=None, gt=0)
    archive_part_size: int = Field(default=64 * MIB, ge=5 * MIB, le=512 * MIB)
    archive_window: int = Field(default=16 * MIB, ge=MIB)

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        if self.stage == "local" and not self.is_public:
            return self
        given = {
            "JWT_SECRET": self.jwt_secret,
            "the password in DATABASE_URL": self._database_password,
            "AWS_SECRET_ACCESS_KEY": self.aws_secret_access_key,
            **{f"the password of {role} in DATABASE_PASSWORDS": one for role, one in self.database_passwords.items()},
        }
        published = [name for name, value in given.items() if value and is_published(value.get_secret_value())]
        if published:
            raise ValueError(
                f"{', '.join(published)}: this value is published, so everyone knows it, and the service can be "
                "reached from more than this machine. Set a random value; `make env` writes a file of them"
            )
        if self.jwt_secret and len(self.jwt_secret.get_secret_value()) < MIN_SECRET:
            raise ValueError(f"JWT_SECRET must be a random value of {MIN_SECRET} characters or more for a server")
        return self

    @model_validator(mode="after")
    def _check_origin_secrets(self) -> Self:
        if any(len(secret) < MIN_SECRET for secret in self.origin_secrets):
            raise ValueError(f"ORIGIN_SECRET must be a random value of {MIN_SECRET} characters or more, or two of them")
        return self

    @model_validator(mode="after")
    def _check_socket(self) -> Self:
        if self.s3_socket is not None and not (self.s3_endpoint or "").startswith("http://"):
            raise ValueError("S3_SOCKET needs an S3_ENDPOINT that starts with http://")
        return self

    @model_validator(mode="after")
    def _refuse_an_open_door(self) -> Self:
        if self.sandbox == "platform" and sys.platform == "linux" and not self.aws_lambda_function_name:
            raise ValueError(
                "SANDBOX=platform is for Lambda and macOS: on Linux nothing else would confine the programs that open "
                "photos. Remove SANDBOX, or set it to required; docs/operations.md says what the sandbox needs"
            )
        return self

    @property
    def token_secret(self) -> str:
        """The key of tokens, grants, visitors' hashes and throttles. Raises NoTokenSecret."""
        if self.jwt_secret is None:
            raise NoTokenSecret("JWT_SECRET is not set, but this function signs or checks tokens: set it")
        return self.jwt_secret.get_secret_value()

    def database_url_as(self, role: str) -> str:
        """The database's URL with the name and password of `role`; unchanged when the role's password is not known."""
        url = self.database_url.get_secret_value()
        password = self.database_passwords.get(role)
        return url if password is None else with_credentials(url, role, password.get_secret_value())

    @property
    def _database_password(self) -> SecretStr | None:
        password = urlsplit(self.database_url.get_secret_value()).password
        return SecretStr(unquote(password)) if password else None

    @property
    def origin(self) -> str:
        """Scheme and host of `base_url`: what a browser sends as Origin (RFC 6454)."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def origin_secrets(self) -> tuple[bytes, ...]:
        """The values of `origin_secret`, which is a list separated by commas: while one is replaced, both hold."""
        listed = self.origin_secret.get_secret_value() if self.origin_secret else ""
        return tuple(one.encode() for one in map(str.strip, listed.split(",")) if one)

    @property
    def is_public(self) -> bool:
        """Whether `base_url` can be reached from more than this machine."""
        return not is_loopback(self.base_url)

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the product over TLS alone."""
        return urlsplit(self.base_url).scheme == "https"

    @property
    def base_path(self) -> str:
        """What precedes every path: empty, or the stage of API Gateway's own address."""
        return urlsplit(self.base_url).path.rstrip("/")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Settings from variables; an empty value counts as not set. Raises pydantic's ValidationError."""
        names = {name: environment.get(name.upper(), "") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in names.items() if value})


class Misconfigured(ValueError):
    """The settings cannot be used. The message names them and says why; it has none of their values."""


class NoTokenSecret(Misconfigured):
    """A function that signs or checks tokens has no JWT_SECRET. Its name is what the log shows."""


def with_credentials(url: str, user: str, password: str) -> str:
    """The URL of the same database for another user."""
    parts = urlsplit(url)
    server = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{server}").geturl()


_database_url: ContextVar[str | None] = ContextVar("database_url", default=None)


@contextmanager
def connected_to(url: str) -> Iterator[None]:
    """Use this database URL in place of the process's until the block ends, in this thread or task and its children.

    A process that runs several functions sets the URL of each function's role around its call.
    """
    token = _database_url.set(url)
    try:
        yield
    finally:
        _database_url.reset(token)


def database_url() -> str:
    """The URL that the current function connects to. Raises Misconfigured."""
    return _database_url.get() or settings().database_url.get_secret_value()


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process. Raises Misconfigured."""
    return checked(os.environ)


def checked(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises Misconfigured."""
    try:
        return Settings.from_environment(environment)
    except ValidationError as error:
        # Without the cause: its text has the values, secrets among them.
        raise Misconfigured(_complaint(error)) from None


def _complaint(error: ValidationError) -> str:
    # A default that depends on other settings is not at fault when one of those is.
    found = [
        one
        for one in error.errors(include_url=False, include_input=False, include_context=False)
        if one["type"] != "default_factory_not_called"
    ]
    return "; ".join(
        ": ".join([*(str(part).upper() for part in one["loc"]), one["msg"].removeprefix("Value error, ")])
        for one in found
    )
