"""Photographers and their sessions."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, CITEXT, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created, Identified, Updated


class User(Identified, Created, Updated, Base):
    """A photographer. `deleted_at` waits for the sweep, which erases what is left in the bucket and then the row.

    `quota_bytes` and `quota_photos` are what an administrator set for the account: NULL is the service's default, 0 is
    no limit.
    """

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(CITEXT, unique=True)
    username: Mapped[str | None] = mapped_column(CITEXT, unique=True)
    password_hash: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    is_admin: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), default=dict)
    quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quota_photos: Mapped[int | None] = mapped_column(BigInteger)
    deleted_at: Mapped[dt.datetime | None]


class StorageUsage(Base):
    """How many photos an account stores, and their bytes: a sum over rows, changed with them in one transaction.

    A table of its own, so that an upload does not lock the account. `checked_at` is when it was last compared.
    """

    __tablename__ = "storage_usage"
    __table_args__ = (Index("ix_storage_usage_checked_at", "checked_at"),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    photos: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    checked_at: Mapped[dt.datetime | None]


class RefreshToken(Identified, Created, Base):
    """One link of a session's chain: `family_id` is the session, `generation` counts its rotations from zero."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        UniqueConstraint("family_id", "generation"),
        CheckConstraint("generation >= 0", name="generation_counts_up"),
        Index("ix_refresh_tokens_expires_at", "expires_at"),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    family_id: Mapped[uuid.UUID]
    generation: Mapped[int]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]
    user_agent: Mapped[str | None]
    ip: Mapped[str | None]
    # When the password was last given in this session; kept in its first generation alone.
    confirmed_at: Mapped[dt.datetime | None]


class ApiKey(Identified, Created, Base):
    """A program's way in. `prefix` is what its owner recognises it by; of the key itself only a hash is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_page", "user_id", text("created_at DESC"), text("id DESC")),)

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String))
    last_used_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]


class Invitation(Identified, Created, Base):
    """One person may open an account. Using it deletes the row; of its code only a hash is kept.

    `invited_by` is None for an invitation by the operator of the service.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        Index("ix_invitations_page", text("created_at DESC"), text("id DESC")),
        Index("ix_invitations_expires_at", "expires_at"),
    )

    email: Mapped[str] = mapped_column(CITEXT, unique=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    invited_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[dt.datetime]
