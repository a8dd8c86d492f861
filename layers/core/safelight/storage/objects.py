"""What is known of a stored object."""

from dataclasses import dataclass
from datetime import datetime

DEFAULT_TYPE = "binary/octet-stream"  # what S3 says of an object stored without a type


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object's facts. `size` in bytes, `etag` with its quotes as HTTP has it, `last_modified` aware UTC."""

    key: str
    size: int
    etag: str
    content_type: str
    last_modified: datetime
