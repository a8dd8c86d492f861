"""The embedded store's bucket: made at each start, and the client that makes it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"


def client(endpoint: str, socket: Path, access_key: str, secret_key: str) -> S3Client:
    """A boto3 client of the store at `endpoint`, by its Unix socket where that is known, and by no proxy."""
    import boto3
    from botocore.config import Config

    from safelight.storage.unixclient import UnixSession

    made = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}, proxies={}),
    )
    if socket.name:  # known once the store was launched
        made.meta.events.register("before-send.s3", UnixSession(str(socket)).handle)
    return made


def create(s3: S3Client, name: str, origins: Sequence[str]) -> None:
    """Make the bucket unless it exists, and set the CORS rules that uploads from pages of `origins` need."""
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_cors(
        Bucket=name,
        CORSConfiguration={
            "CORSRules": [
                {
                    "AllowedMethods": ["GET", "HEAD", "POST"],
                    "AllowedOrigins": list(origins),
                    "AllowedHeaders": ["*"],
                    "ExposeHeaders": ["ETag", "Content-Range", "Accept-Ranges"],
                    "MaxAgeSeconds": 3000,
                }
            ]
        },
    )


def remove(s3: S3Client, name: str) -> None:
    """Remove the bucket and all that is in it."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        keys = [{"Key": item["Key"]} for item in page.get("Contents", []) if "Key" in item]
        if keys:
            s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": k["Key"]} for k in keys]})
    s3.delete_bucket(Bucket=name)
