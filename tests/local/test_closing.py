"""A home whose store an earlier version left open: what others put there goes, what the owner put there stays."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local import closing, orphans
from local.home import Home
from local.objectstore import ObjectStore, program
from local.process import free_ports
from safelight.storage.compaction import SeaweedCompactor
from tests.local.test_home import granted
from tests.local.test_supervisor import Up
from tests.local.unsealed import UnsealedStore
from tests.volumes import canary, files_with

BUCKET = "safelight"
EVERYTHING = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*",'
    f'"Resource":["arn:aws:s3:::{BUCKET}/*","arn:aws:s3:::{BUCKET}"]}}]}}'
)
PLANTED = """
s3.configure -user one -access_key PLANTEDONE -secret_key planted-secret-1 -actions Admin,Read,Write,List -apply
s3.user.create -name two -access_key PLANTEDTWO -secret_key planted-secret-2
"""


def refusal(call: object, **arguments: str) -> str:
    """The code of the error; "allowed" when there is none."""
    assert callable(call)
    try:
        call(**arguments)
    except ClientError as error:
        return error.response.get("Error", {}).get("Code", "")
    return "allowed"


def plant(store: UnsealedStore, folder: Path) -> None:
    """What somebody on the machine can leave in an open store to come back later."""
    ports = {
        part: f"{store._ports[f'{part}.port']}.{store._ports[f'{part}.port.grpc']}" for part in ("master", "filer")
    }
    subprocess.run(
        [program(), "shell", *(f"-{part}=127.0.0.1:{where}" for part, where in ports.items())],
        input=PLANTED,
        text=True,
        capture_output=True,
        check=True,
        cwd=folder,
        env={"HOME": str(folder)},
        timeout=60,
    )
    rules = b'{"locations":[{"locationPrefix":"/buckets/safelight","readOnly":true}]}'
    answer = httpx.put(f"http://127.0.0.1:{store._ports['filer.port']}/etc/seaweedfs/filer.conf", content=rules)
    assert answer.status_code == 201
    client = store.client()
    client.put_bucket_policy(Bucket=BUCKET, Policy=EVERYTHING)
    client.put_bucket_acl(Bucket=BUCKET, ACL="public-read-write")
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def anonymous(store: ObjectStore) -> object:
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}),
    )


def steps(home: Home, store: ObjectStore) -> list[object]:
    """What the supervisor does, in its order."""
    return [
        lambda: closing.remove_rules(home, store),
        lambda: store.start(),
        lambda: store.create_bucket(BUCKET),
        lambda: closing.finish(home),
    ]


def close_up_to(home: Home, killed_after: int) -> ObjectStore:
    """Close the home, but die after so many steps, the store with us."""
    store = ObjectStore(home.directory / "objects", home.secrets().access_key, home.secrets().secret_key)
    for step in steps(home, store)[:killed_after]:
        assert callable(step)
        step()
    return store


@pytest.mark.long
def test_a_home_that_was_open_is_closed_however_often_that_is_cut_off(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    old = home.secrets()
    bodies = {f"originals/{number}": os.urandom(50_000) for number in range(5)}
    with UnsealedStore(home.directory / "objects", old.access_key, old.secret_key) as open_store:
        client = open_store.client()
        client.create_bucket(Bucket=BUCKET)
        for key, body in bodies.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=body)
        plant(open_store, tmp_path)
        visitor = anonymous(open_store)
        time.sleep(2)
        assert refusal(visitor.get_object, Bucket=BUCKET, Key="originals/1") == "allowed"  # type: ignore[attr-defined]
        port = open_store._ports["s3.port"]

    for killed_after in (1, 2, 3):
        assert closing.is_needed(home)
        store = close_up_to(home, killed_after)
        store.kill()
    assert closing.is_needed(home)
    store = close_up_to(home, 4)
    try:
        assert not closing.is_needed(home)
        assert store._ports["s3.port"] == port, "proxies and signed addresses name it"
        client = store.client()
        assert {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in bodies} == bodies
        client.put_object(Bucket=BUCKET, Key="originals/new", Body=b"the planted rule would have refused it")
        now = home.secrets()
        assert (now.database_password, now.jwt_secret) == (old.database_password, old.jwt_secret)
        for keys in (
            (old.access_key, old.secret_key),
            ("PLANTEDONE", "planted-secret-1"),
            ("PLANTEDTWO", "planted-secret-2"),
        ):
            store.access_key, store.secret_key = keys
            assert refusal(store.client().list_objects_v2, Bucket=BUCKET) == "InvalidAccessKeyId"
        visitor = anonymous(store)
        assert refusal(visitor.get_object, Bucket=BUCKET, Key="originals/1") == "AccessDenied"  # type: ignore[attr-defined]
        assert refusal(visitor.list_objects_v2, Bucket=BUCKET) == "AccessDenied"  # type: ignore[attr-defined]
        assert "Status" not in client.get_bucket_versioning(Bucket=BUCKET)
        assert "etc" not in store.shell("fs.ls /").replace(">", " ").split()
        home.close()
        assert granted(home.directory) == []
    finally:
        store.stop()


def test_a_new_home_is_closed_from_the_start(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert not closing.is_needed(home)
    with ObjectStore(tmp_path / "objects", "KEY", secrets.token_hex(20)) as store:
        store.create_bucket(BUCKET)
    assert not closing.is_needed(home)


def lock_out(client: object) -> None:
    """Set what refuses the owner's own requests, as far as a policy and Object Lock can."""
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3000}}}
    client.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=lock)  # type: ignore[attr-defined]
    client.put_object(Bucket=BUCKET, Key="originals/g/locked", Body=b"locked" * 9_000)  # type: ignore[attr-defined]
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": json.loads(EVERYTHING)["Statement"][0]["Resource"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    client.put_bucket_policy(Bucket=BUCKET, Policy=policy)  # type: ignore[attr-defined]
    time.sleep(2)
    assert refusal(client.list_objects_v2, Bucket=BUCKET) == "AccessDenied"  # type: ignore[attr-defined]


def test_planted_denial_lock_and_versions_neither_stop_the_start_nor_keep_bytes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    old = home.secrets()
    first, second, large = canary() + os.urandom(30_000), canary() + os.urandom(30_000), os.urandom(11_000_000)
    with UnsealedStore(home.directory / "objects", old.access_key, old.secret_key) as open_store:
        client = open_store.client()
        client.create_bucket(Bucket=BUCKET)
        client.put_object(
            Bucket=BUCKET, Key="originals/g/before", Body=b"before the versions", ContentType="image/jpeg"
        )
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        client.put_object(Bucket=BUCKET, Key="originals/g/twice", Body=first)
        client.put_object(Bucket=BUCKET, Key="originals/g/twice", Body=second)
        client.put_object(Bucket=BUCKET, Key="originals/g/deleted", Body=first)
        client.delete_object(Bucket=BUCKET, Key="originals/g/deleted")
        client.put_object(Bucket=BUCKET, Key="originals/g/large", Body=large)
        client.put_object(Bucket=BUCKET, Key="originals.versions/trap", Body=b"a key like a folder of versions")
        lock_out(client)

    stack = Up(home.directory, free_ports(1)[0])
    try:
        stack.wait()
    finally:
        stack.process.send_signal(signal.SIGINT)
        stack.process.wait(60)
    assert not closing.is_needed(home)

    now = home.secrets()
    with ObjectStore(home.directory / "objects", now.access_key, now.secret_key) as store:
        client = store.client()
        bodies = {
            "originals/g/before": b"before the versions",
            "originals/g/twice": second,
            "originals/g/large": large,
            "originals/g/locked": b"locked" * 9_000,
        }
        for key, body in bodies.items():
            assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        assert client.head_object(Bucket=BUCKET, Key="originals/g/before")["ContentType"] == "image/jpeg"
        assert refusal(client.head_object, Bucket=BUCKET, Key="originals/g/deleted") == "404"
        assert refusal(client.get_object_lock_configuration, Bucket=BUCKET) != "allowed"
        assert files_with(store.directory, second[:64]) != []
        for key in bodies:
            client.delete_object(Bucket=BUCKET, Key=key)
        assert not client.list_object_versions(Bucket=BUCKET).keys() & {"Versions", "DeleteMarkers"}
        SeaweedCompactor(store.directory).run()
        assert files_with(store.directory, first[:64]) + files_with(store.directory, second[:64]) == []
        orphans.stop(store)


def test_a_reset_that_is_cut_off_starts_from_the_old_database(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    keys = home.secrets()
    with UnsealedStore(home.directory / "objects", keys.access_key, keys.secret_key) as open_store:
        open_store.create_bucket(BUCKET)
        open_store.client().put_object(Bucket=BUCKET, Key="originals/g/p", Body=b"kept" * 9_000)
    store = ObjectStore(home.directory / "objects", keys.access_key, keys.secret_key)
    (store.data / "filerldb2").rename(store.directory / "filer.old")  # killed before the new one was filled
    store.start(s3=False).stop()
    closing.remove_rules(home, store)
    with store:
        assert store.client().get_object(Bucket=BUCKET, Key="originals/g/p")["Body"].read() == b"kept" * 9_000
        store.create_bucket(BUCKET)
