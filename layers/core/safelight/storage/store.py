"""The bucket, over boto3."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, TypedDict

from botocore.exceptions import ClientError

from safelight.errors import ObjectChanged, ObjectMissing
from safelight.storage.failures import translated
from safelight.storage.objects import DEFAULT_TYPE, ObjectInfo
from safelight.storage.signer import crc32_field

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 256 * 1024
_DELETE_MANY = 1000  # the most that S3 takes in one request


class _Condition(TypedDict, total=False):
    IfMatch: str


class Storage:
    """Objects of one bucket. Safe to share between threads, as boto3's clients are.

    Every method raises StorageUnavailable when the store is busy or not reachable; what else the vendor raises passes.
    `settle` makes the store's deletions durable where it does not do that itself.
    """

    def __init__(self, bucket: str, client: "S3Client", *, settle: Callable[[], None] | None = None) -> None:
        self.bucket = bucket
        self._client = client
        self._settle = settle

    def head(self, key: str) -> ObjectInfo | None:
        """The object's facts, or None when there is no such object."""
        try:
            with translated(key):
                return _info(key, self._client.head_object(Bucket=self.bucket, Key=key))
        except ObjectMissing:
            return None

    def read(self, key: str, *, if_match: str | None = None, limit: int | None = None) -> tuple[bytes, ObjectInfo]:
        """The object's bytes, or the first `limit` of them; its `size` in the facts is always that of the whole.

        Raises ObjectMissing, and ObjectChanged when the ETag is not `if_match`.
        """
        condition: _Condition = {} if if_match is None else {"IfMatch": if_match}
        with translated(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key, **condition)
            body = answer["Body"]
            # Not a Range request: an empty object has no satisfiable range, and limits are there for unexpected sizes.
            try:
                data = body.read() if limit is None else _read_at_most(body, limit)
            finally:
                body.close()
        return data, _info(key, answer)

    def write(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        """Put a whole object, replacing what was there; the store refuses bytes that changed on the way."""
        checksum = crc32_field(zlib.crc32(data))
        with translated(key):
            answer = self._client.put_object(
                Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, ChecksumCRC32=checksum
            )
        return ObjectInfo(key, len(data), answer["ETag"], content_type, datetime.now(UTC))

    def copy(self, src: str, dst: str, *, if_match: str, content_type: str) -> ObjectInfo:
        """Copy within the bucket, server-side, only if `src` still has the ETag `if_match`.

        Raises ObjectMissing or ObjectChanged, both about `src`. The copy has `content_type` and no other metadata.
        """
        with translated(src):
            answer = self._client.copy_object(
                Bucket=self.bucket,
                Key=dst,
                CopySource={"Bucket": self.bucket, "Key": src},
                CopySourceIfMatch=if_match,
                ContentType=content_type,
                MetadataDirective="REPLACE",
            )
        info = self.head(dst)
        if info is None:
            raise ObjectMissing(dst)
        # Some stores leave the quotes out in this one answer.
        if info.etag.strip('"') != answer["CopyObjectResult"]["ETag"].strip('"'):
            raise ObjectChanged(dst)
        return info

    def delete(self, keys: Iterable[str]) -> None:
        """Delete all of `keys`; one that is not there is no error. If any remains, the reason is raised."""
        failed: dict[str, str] = {}
        some: tuple[str, ...] = ()
        for some in batched(keys, _DELETE_MANY, strict=False):
            with translated(some[0]):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            failed |= {error.get("Key", ""): error.get("Code", "") for error in answer.get("Errors", [])}
        if some and self._settle is not None:
            self._settle()
        for key, code in failed.items():
            if code != "NoSuchKey":
                # The answer was a 200, so the vendor raised nothing: do it in its place, and let it be translated.
                with translated(key):
                    raise ClientError({"Error": {"Code": code, "Message": f"{key} was not deleted"}}, "DeleteObjects")

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that starts with `prefix`, in the store's order, page by page."""
        with translated(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield item["Key"]


def _read_at_most(body: Any, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while left and (part := body.read(min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _info(key: str, answer: Any) -> ObjectInfo:
    return ObjectInfo(
        key,
        answer["ContentLength"],
        answer["ETag"],
        answer.get("ContentType", DEFAULT_TYPE),
        answer["LastModified"].astimezone(UTC),
    )
