"""The boto3 client, made the way every S3-compatible store understands."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from safelight.storage.signer import Credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECT_SECONDS = 3
_CONNECTIONS = 32


def make_client(
    region: str, endpoint: str | None, credentials: Credentials, *, socket: str | None = None, timeout: float = 20
) -> "S3Client":
    """An S3 client with three attempts, each giving up after `timeout` seconds without a byte.

    By path with `endpoint`, else by AWS's regional virtual host; variables such as AWS_ENDPOINT_URL are not heeded.
    With `socket`, the path of a Unix socket, the requests to `endpoint` go there.
    Checksums only where an operation requires one: the trailing ones that botocore adds by default are not
    understood by every compatible store.
    """
    session = boto3.session.Session(
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.session_token,
        region_name=region,
    )
    config = Config(  # type: ignore[call-arg]  # the stubs lack ignore_configured_endpoint_urls
        signature_version="s3v4",
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": 3},
        ignore_configured_endpoint_urls=True,
        max_pool_connections=_CONNECTIONS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "virtual" if endpoint is None else "path",
            "us_east_1_regional_endpoint": "regional",
        },
    )
    client = session.client("s3", endpoint_url=endpoint, config=config)
    if socket is not None:
        from safelight.storage.unixclient import UnixSession

        local = UnixSession(socket, timeout=(_CONNECT_SECONDS, timeout), max_pool_connections=_CONNECTIONS)
        client.meta.events.register("before-send.s3", local.handle)
    return client
