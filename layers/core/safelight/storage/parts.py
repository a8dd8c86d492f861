"""Large objects, written in parts that may come from many processes; `storage.sending` sends the parts."""

import datetime as dt
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from safelight.errors import ObjectMissing
from safelight.storage.failures import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_s3 import S3Client


class Multipart:
    """Multipart uploads to one bucket. Every method raises StorageUnavailable when the store does not answer."""

    def __init__(self, bucket: str, client: "S3Client") -> None:
        self._bucket = bucket
        self._client = client

    def begin(self, key: str, content_type: str) -> str:
        """Start an upload; its id."""
        with translated(key):
            answer = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        return answer["UploadId"]

    def complete(self, key: str, upload_id: str, etags: "Iterable[tuple[int, str]]") -> None:
        """Make the object out of its parts, given as (number, ETag). Raises ObjectMissing when the upload is over."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags)]
        with translated(key), _ended(key):
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]  # a list of dicts is what it takes
            )

    def abort(self, key: str, upload_id: str) -> None:
        """Throw the parts away; nothing happens to an upload that is over."""
        try:
            with translated(key), _ended(key):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
        except ObjectMissing:
            return

    def uploads(self, prefix: str, begun_before: dt.datetime | None = None) -> "Iterator[tuple[str, str]]":
        """(key, upload id) of every upload that is under way; only of those begun before a moment, where one is given.

        The moment is compared with the store's clock.
        """
        with translated(prefix):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=prefix
            ):
                for upload in page.get("Uploads", []):
                    if begun_before is None or upload["Initiated"] < begun_before:
                        yield upload["Key"], upload["UploadId"]


class _ended:  # noqa: N801 - reads as a statement where it is used
    """Turn "no such upload" into ObjectMissing."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "NoSuchUpload":
            raise ObjectMissing(self._key) from error
