"""What the store's bad moments become, over a real socket: which are waited out, which translated, which passed on."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError

from safelight.errors import ObjectChanged, ObjectMissing, StorageUnavailable
from safelight.storage.client import make_client
from safelight.storage.light import LightStore, Refused
from safelight.storage.signer import Credentials, Signer
from safelight.storage.store import Storage
from tests.core.storage.faulty import Faulty, faulty

CREDENTIALS = Credentials("key", "secret")


@pytest.fixture(scope="module")
def running() -> Iterator[Faulty]:
    with faulty() as server:
        yield server


@pytest.fixture
def server(running: Faulty) -> Faulty:
    running.script = ["ok"]
    running.requests.clear()
    return running


@pytest.fixture(scope="module")
def boto(running: Faulty) -> Iterator[Storage]:
    client = make_client("us-east-1", running.endpoint, CREDENTIALS, timeout=5)
    yield Storage("bucket", client)
    client.close()


def retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the long pauses, and however many."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    # A client spends from a quota of retries, so that a long trouble is not made worse: full again for each test.
    monkeypatch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda *_: True)


@pytest.fixture
def store(boto: Storage, server: Faulty, monkeypatch: pytest.MonkeyPatch) -> Storage:
    assert boto._client.meta.endpoint_url == server.endpoint
    retry_at_once(monkeypatch)
    return boto


@pytest.fixture
def light(server: Faulty) -> Iterator[LightStore]:
    store = LightStore(Signer(CREDENTIALS, "us-east-1", "bucket", server.endpoint))
    yield store
    store.close()


TRANSIENT = ["slow_down", "internal", "reset"]

CALLS: list[Callable[[Storage], object]] = [
    lambda store: store.head("k"),
    lambda store: store.read("k"),
    lambda store: store.write("k", b"x", "image/jpeg"),
    lambda store: store.copy("k", "l", if_match='"e"', content_type="image/jpeg"),
    lambda store: store.delete(["k"]),
    lambda store: list(store.keys("")),
]
NAMES = ["head", "read", "write", "copy", "delete", "keys"]


@pytest.mark.parametrize("act", TRANSIENT)
@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_what_stays_bad_is_unavailable(
    server: Faulty, store: Storage, act: str, call: Callable[[Storage], object]
) -> None:
    server.script = [act]
    with pytest.raises(StorageUnavailable):
        call(store)
    assert len(server.requests) == 3


@pytest.mark.parametrize("act", TRANSIENT)
def test_a_bad_moment_is_waited_out(server: Faulty, store: Storage, light: LightStore, act: str) -> None:
    for call in (store.head, light.head):
        server.script = [act, act, "ok"]
        info = call("k")
        assert info is not None
        assert info.size == 7
    server.script = [act, "ok"]
    assert store.read("k")[0] == b"picture"
    for write in (store.write, light.write):
        server.script = [act, "ok"]
        server.requests.clear()
        write("k", b"again", "image/jpeg")
        assert [body for _, _, body in server.requests] == [b"again", b"again"]


@pytest.mark.parametrize("act", TRANSIENT)
def test_the_light_store_gives_up_too(server: Faulty, light: LightStore, act: str) -> None:
    server.script = [act]
    with pytest.raises(StorageUnavailable):
        light.head("k")
    with pytest.raises(StorageUnavailable):
        light.write("k", b"x", "image/jpeg")
    assert len(server.requests) == 6


def test_silence_is_not_waited_for_long(server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    retry_at_once(monkeypatch)
    client = make_client("us-east-1", server.endpoint, CREDENTIALS, timeout=0.3)
    store = Storage("bucket", client)
    light = LightStore(Signer(CREDENTIALS, "us-east-1", "bucket", server.endpoint), timeout=0.3)
    for call in (store.read, light.head):
        server.script = ["silent"]
        server.requests.clear()
        start = time.monotonic()
        with pytest.raises(StorageUnavailable):
            call("k")
        assert 0.9 <= time.monotonic() - start < 5
        assert len(server.requests) == 3
    server.script = ["silent", "ok"]
    assert light.head("k") is not None
    client.close()
    light.close()


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        store = Storage("bucket", make_client("us-east-1", endpoint, CREDENTIALS))
        with pytest.raises(StorageUnavailable):
            store.head("k")
        light = LightStore(Signer(CREDENTIALS, "us-east-1", "bucket", endpoint))
        with pytest.raises(StorageUnavailable):
            light.head("k")


@pytest.mark.parametrize("limit", [None, 4, 6], ids=["all", "what came", "more than came"])
def test_a_body_cut_short_is_never_taken_for_whole(server: Faulty, store: Storage, limit: int | None) -> None:
    server.script = ["cut"]
    if limit == 4:
        assert store.read("k", limit=limit)[0] == b"half"
        return
    with pytest.raises(StorageUnavailable):
        store.read("k", limit=limit)


def test_a_time_out_that_the_store_reports_is_unavailable(server: Faulty, store: Storage) -> None:
    server.script = ["request_timeout"]
    with pytest.raises(StorageUnavailable):
        store.write("k", b"x", "image/jpeg")


@pytest.mark.parametrize(("act", "status"), [("forbidden", 403), ("not_implemented", 501)])
def test_refusals_pass_through_at_once(
    server: Faulty, store: Storage, light: LightStore, act: str, status: int
) -> None:
    server.script = [act]
    for call in CALLS:
        server.requests.clear()
        with pytest.raises(ClientError) as refused:
            call(store)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert len(server.requests) == 1
    with pytest.raises(Refused) as refused_too:
        light.head("k")
    assert refused_too.value.status == status


def test_a_failed_precondition_is_a_change(server: Faulty, store: Storage) -> None:
    server.script = ["changed"]
    with pytest.raises(ObjectChanged):
        store.read("k", if_match='"e"')
    with pytest.raises(ObjectChanged):
        store.copy("k", "l", if_match='"e"', content_type="image/jpeg")


@pytest.mark.parametrize(("act", "expected"), [("some_remain", ClientError), ("some_are_busy", StorageUnavailable)])
def test_what_was_not_deleted_is_told(server: Faulty, store: Storage, act: str, expected: type[Exception]) -> None:
    server.script = [act]
    with pytest.raises(expected):
        store.delete(["a", "b", "c"])


def test_a_connection_that_died_while_frozen_costs_no_error(server: Faulty, light: LightStore) -> None:
    server.script = ["gone_afterwards"]
    for _ in range(3):
        assert light.head("k") is not None
    assert len(server.requests) == 3


def test_many_dead_connections_cost_no_error_either(light: LightStore) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = [http.client.HTTPConnection("127.0.0.1", unused.getsockname()[1]) for _ in range(5)]
        light._idle.extend(dead)
        assert light.head("k") is not None
    assert not set(dead) & set(light._idle)


def test_connections_are_kept_and_shared_between_threads(light: LightStore) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(light.head("k"))) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    assert None not in found
    assert 1 <= len(light._idle) <= 8


def test_more_connections_than_are_kept_are_closed(light: LightStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safelight.storage.light._MAX_IDLE", 0)
    assert light.head("k") is not None
    assert not light._idle


def test_a_copy_that_is_not_there_afterwards_is_missing(
    server: Faulty, store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "head", lambda _: None)
    server.script = ["copied"]
    with pytest.raises(ObjectMissing) as missing:
        store.copy("k", "l", if_match='"e"', content_type="image/jpeg")
    assert missing.value.key == "l"


def test_a_copy_that_somebody_replaced_is_a_change(server: Faulty, store: Storage) -> None:
    server.script = ["copied", "ok"]
    with pytest.raises(ObjectChanged) as changed:
        store.copy("k", "l", if_match='"e"', content_type="image/jpeg")
    assert changed.value.key == "l"
