"""The object store: keeps what it acknowledged, lets in whom it should, and is ready when it says so."""

from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from local import objectstore as module
from local.objectstore import ObjectStore
from local.process import StartError


def test_a_kill_loses_no_acknowledged_object(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, "KEY", "secret")
    try:
        store.start()
        store.create_bucket("photos")
        client = store.client()
        bodies = {f"originals/{number}": bytes([number]) * 1000 * (number + 1) for number in range(40)}
        for key, body in bodies.items():
            client.put_object(Bucket="photos", Key=key, Body=body)
        first = store.endpoint
        store.kill()
        store.start()
        assert store.endpoint == first
        assert {key: store.client().get_object(Bucket="photos", Key=key)["Body"].read() for key in bodies} == bodies
        store.kill()
        (tmp_path / "ports.json").unlink()
        again = store = ObjectStore(tmp_path, "KEY", "secret")
        again.start()  # on other ports, which the volumes must not mind
        assert again.endpoint != first
        assert {key: again.client().get_object(Bucket="photos", Key=key)["Body"].read() for key in bodies} == bodies
    finally:
        store.stop()
    assert store.pid is None


def test_a_bucket_is_made_once_and_removed_with_its_objects(object_store: ObjectStore) -> None:
    for _ in range(2):
        object_store.create_bucket("once-only")
    client = object_store.client()
    client.put_object(Bucket="once-only", Key="a/b", Body=b"1")
    object_store.remove_bucket("once-only")
    assert "once-only" not in {bucket.get("Name") for bucket in client.list_buckets()["Buckets"]}


def test_strangers_and_wrong_secrets_are_refused(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.create_bucket("guarded")
    object_store.client().put_object(Bucket="guarded", Key="a", Body=b"1")
    assert httpx.get(f"{object_store.endpoint}/guarded/a").status_code == 403
    impostor = ObjectStore(tmp_path, object_store.access_key, "wrong")
    impostor._ports = object_store._ports
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        impostor.client().get_object(Bucket="guarded", Key="a")
    object_store.remove_bucket("guarded")


def test_a_browser_may_upload_from_any_page(object_store: ObjectStore) -> None:
    object_store.create_bucket("browsers")
    asked = {"Origin": "http://127.0.0.1:8000", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{object_store.endpoint}/browsers", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in ("*", asked["Origin"])
    assert (
        answer.headers["access-control-allow-methods"] == "*"
        or "POST" in answer.headers["access-control-allow-methods"]
    )
    object_store.remove_bucket("browsers")


def test_without_a_wheel_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    with pytest.raises(StartError, match="S3_ENDPOINT"):
        module.program()
