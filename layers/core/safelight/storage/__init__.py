"""The object store: the one place that talks to S3.

Importing this costs nothing: boto3 is loaded when `storage()` is first called, and signing needs none of it.
"""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from safelight.config import settings
from safelight.storage.objects import ObjectInfo
from safelight.storage.signer import Credentials, PostForm, Signer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from safelight.storage.compaction import Compactor
    from safelight.storage.light import LightStore
    from safelight.storage.parts import Multipart
    from safelight.storage.sending import Sender
    from safelight.storage.store import Storage

__all__ = [
    "Credentials",
    "ObjectInfo",
    "PostForm",
    "Signer",
    "compactor",
    "internal_signer",
    "light_store",
    "multipart",
    "sender",
    "signer",
    "storage",
]


@lru_cache(maxsize=1)
def storage() -> "Storage":
    """The bucket of this process's settings."""
    from safelight.storage.store import Storage

    # The embedded store leaves a deletion in memory; here it is on the disk before any row is forgotten.
    settle = os.sync if settings().seaweedfs_control else None
    return Storage(settings().bucket, _client(), settle=settle)


@lru_cache(maxsize=1)
def compactor() -> "Compactor":
    """Removes the bytes of what was deleted from the store's disk."""
    from safelight.storage.compaction import SeaweedCompactor, Unneeded

    folder = settings().seaweedfs_control
    return Unneeded() if folder is None else SeaweedCompactor(folder)


@lru_cache(maxsize=1)
def multipart() -> "Multipart":
    """Multipart uploads to the bucket of this process's settings."""
    from safelight.storage.parts import Multipart

    return Multipart(settings().bucket, _client())


@lru_cache(maxsize=1)
def sender() -> "Sender":
    """Sends the parts of such uploads, without botocore."""
    from safelight.storage.sending import Sender

    return Sender(internal_signer(), socket=settings().s3_socket)


@lru_cache(maxsize=1)
def light_store() -> "LightStore":
    """HEAD and PUT on the same bucket, without botocore."""
    from safelight.storage.light import LightStore

    return LightStore(internal_signer(), socket=settings().s3_socket)


@lru_cache(maxsize=1)
def signer() -> Signer:
    """Signs what browsers and other clients follow: the public endpoint."""
    configured = settings()
    endpoint = configured.s3_public_endpoint or configured.s3_endpoint
    return Signer(_credentials(), configured.aws_region, configured.bucket, endpoint)


@lru_cache(maxsize=1)
def internal_signer() -> Signer:
    """Signs what our own processes fetch: the endpoint inside the network."""
    configured = settings()
    return Signer(_credentials(), configured.aws_region, configured.bucket, configured.s3_endpoint)


@lru_cache(maxsize=1)
def _client() -> "S3Client":
    # One for both: making a client takes a tenth of a second.
    from safelight.storage.client import make_client

    configured = settings()
    return make_client(configured.aws_region, configured.s3_endpoint, _credentials(), socket=configured.s3_socket)


def _credentials() -> Credentials:
    configured = settings()
    if configured.aws_access_key_id is None or configured.aws_secret_access_key is None:
        raise RuntimeError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
    token = configured.aws_session_token
    return Credentials(
        configured.aws_access_key_id,
        configured.aws_secret_access_key.get_secret_value(),
        token.get_secret_value() if token is not None else None,
    )
