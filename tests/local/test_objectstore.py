"""The object store: keeps what it acknowledged, lets in whom it should, and is ready when it says so."""

import socket
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from local import objectstore as module
from local.objectstore import ObjectStore
from local.process import StartError, free_ports


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


@pytest.mark.parametrize(
    ("url", "allowed", "refused"),
    [
        ("http://127.0.0.1:8000", ["http://127.0.0.1:8000", "http://localhost:8000"], ["http://localhost:8001"]),
        ("HTTPS://Photos.Example.com:443", ["https://photos.example.com"], ["http://127.0.0.1:8000"]),
    ],
)
def test_only_the_products_own_pages_may_read_answers(
    tmp_path: Path, url: str, allowed: list[str], refused: list[str]
) -> None:
    with ObjectStore(tmp_path / "objects", "KEY", "secret", origin=url) as store:
        store.create_bucket("pages")

        def answered(origin: str) -> str | None:
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            try:
                answer = httpx.options(f"{store.endpoint}/pages", headers=asked)
            except httpx.RemoteProtocolError:  # how the store refuses a foreign page's preflight of a bucket
                return None
            allowed_origin: str | None = answer.headers.get("access-control-allow-origin")
            return allowed_origin

        assert {origin: answered(origin) for origin in allowed} == {origin: origin for origin in allowed}
        assert [answered(origin) for origin in refused] == [None] * len(refused)


def test_the_stores_own_requests_go_to_its_socket_and_to_no_proxy(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.1)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        # Nothing answers on the TCP port that the endpoint names.
        monkeypatch.setitem(object_store._ports, "s3.port", free_ports(1)[0])
        object_store.create_bucket("unproxied")
        object_store.remove_bucket("unproxied")
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_without_a_wheel_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    with pytest.raises(StartError, match="S3_ENDPOINT"):
        module.program()
