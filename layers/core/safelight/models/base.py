"""What every table shares."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import DateTime, MetaData, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Constraint names are spelled out so that a migration can name what it changes."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it off the class
        dt.datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
    }


class Identified:
    """A random UUID made here, so that an id is known before the row is written."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)


class Created:
    """When the row came to be, by the database's clock."""

    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Updated:
    """When the row last changed."""

    updated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
