"""Close a home whose object store an earlier version left open: every user of the machine had its keys.

Each step may be repeated, and the mark that says it is done is made last, so a kill at any point begins it again. What
somebody replaced in the bucket cannot be told from what the owner put there.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local import private
from local.home import Home
from local.objectstore import ObjectStore
from local.process import StartError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SETTLE_SECONDS = 2.5
"""How long the store may still admit what it admitted before a policy was removed."""
_ATTEMPTS = 5


def is_needed(home: Home) -> bool:
    """Whether the home holds a store that was never closed. A home without a store is marked as closed."""
    if _mark(home).exists():
        return False
    if any((home.directory / "objects" / "data").glob("*")):
        return True
    finish(home)
    return False


def remove_identities(home: Home, store: ObjectStore) -> None:
    """Before the store serves anyone: give it new keys and remove what others can have put into its settings.

    The filer's /etc holds S3 identities, roles, rules of paths and remote mounts, each of which somebody could add. The
    product puts nothing there.
    """
    secrets = home.renew_store_keys()
    store.access_key, store.secret_key = secrets.access_key, secrets.secret_key
    store.start(s3=False)
    try:
        store.shell("fs.rm -rf /etc")
        left = store.shell("fs.ls /")
    finally:
        store.stop()
    if "etc" in left.replace(">", " ").split():
        raise StartError(f"the settings that others may have added to the object store cannot be removed:\n{left}")


def reset_bucket(store: ObjectStore, bucket: str) -> None:
    """Remove what others can have set on the bucket: policy, access list, lifecycle rules, versions, encryption.

    Raises StartError when something of it comes back.
    """
    client = store.client()
    for _ in range(_ATTEMPTS):
        _reset(client, bucket)
        # Whom a policy admitted may set it again until the store has forgotten it.
        time.sleep(_SETTLE_SECONDS)
        if _is_reset(client, bucket):
            return
    raise StartError(f"the access rules that others may have set on the bucket {bucket} come back after their removal")


def finish(home: Home) -> None:
    """Note that the home is closed."""
    private.write(_mark(home), "The object store was closed to other users of this machine.\n")


def _mark(home: Home) -> Path:
    return home.directory / "closed"


def _reset(client: S3Client, bucket: str) -> None:
    for remove in (client.delete_bucket_policy, client.delete_bucket_lifecycle, client.delete_bucket_encryption):
        with contextlib.suppress(ClientError):  # some are an error when there is nothing to remove
            remove(Bucket=bucket)
    client.put_bucket_acl(Bucket=bucket, ACL="private")
    if client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled":
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def _is_reset(client: S3Client, bucket: str) -> bool:
    for read in (
        client.get_bucket_policy,
        client.get_bucket_lifecycle_configuration,
        client.get_bucket_encryption,
    ):
        with contextlib.suppress(ClientError):
            read(Bucket=bucket)
            return False
    grantees = [grant["Grantee"].get("Type") for grant in client.get_bucket_acl(Bucket=bucket)["Grants"]]
    return grantees == ["CanonicalUser"]
