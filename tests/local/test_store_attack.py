"""The attacker gets nothing from a running store, whichever of its ports and sockets is tried."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.objectstore import ObjectStore
from tests.local.attack import WHO, beyond_the_known, endpoints_of, run_attacker
from tests.local.unsealed import UnsealedStore

BUCKET = "safelight"


@pytest.fixture
def canary() -> str:
    return secrets.token_hex(20)


def fill(store: ObjectStore, canary: str) -> None:
    store.create_bucket(BUCKET)
    store.client().put_object(Bucket=BUCKET, Key="canary", Body=canary.encode() * 100)


@pytest.fixture
def closed(tmp_path: Path, canary: str) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path, "KEYOFTHESTORE", secrets.token_hex(20)) as store:
        fill(store, canary)
        yield store


@pytest.fixture
def unsealed(tmp_path: Path, canary: str) -> Iterator[ObjectStore]:
    with UnsealedStore(tmp_path, "KEYOFTHESTORE", secrets.token_hex(20)) as store:
        fill(store, canary)
        yield store


def attack(store: ObjectStore, who: str, canary: str) -> list[str]:
    """What he got of the store; who has the home's rights does not go through the sockets inside it."""
    assert store.pid is not None
    found = endpoints_of(store.pid)
    assert set(store._ports.values()) <= set(found)
    if WHO[who] is None:
        found = [endpoint for endpoint in found if not str(endpoint).startswith(str(store.directory))]
    hidden = [canary, store.secret_key, store.access_key]
    given = run_attacker(found, WHO[who], secrets=hidden, ports=store._ports, bucket=BUCKET)
    return beyond_the_known(given, store._ports, hidden)


@pytest.mark.parametrize("who", WHO)
def test_a_closed_store_gives_nothing(closed: ObjectStore, canary: str, who: str) -> None:
    before = volumes(closed)
    assert attack(closed, who, canary) == []
    assert closed.client().get_object(Bucket=BUCKET, Key="canary")["Body"].read() == canary.encode() * 100
    assert [item.get("Key") for item in closed.client().list_objects_v2(Bucket=BUCKET)["Contents"]] == ["canary"]
    assert volumes(closed) == before != []


def volumes(store: ObjectStore) -> list[str]:
    """Ids of the store's volumes, which an order to grow or to delete would change."""
    return re.findall(r"volume Id:(\d+)", store.shell("volume.list"))


@pytest.mark.parametrize("who", WHO)
def test_the_same_attack_empties_an_unsealed_store(unsealed: ObjectStore, canary: str, who: str) -> None:
    given = "\n".join(attack(unsealed, who, canary))
    filer, master = unsealed._ports["filer.port"], unsealed._ports["master.port"]
    for line in (
        f"http {filer} GET /buckets/{BUCKET}/canary: a page of https://evil.example may read 200 b'{canary}",
        f"http {filer} GET /buckets/: a page of https://evil.example may read 200",
        f"http {filer} PUT /buckets/{BUCKET}/canary: a page of https://evil.example may read 201",
        f"http {filer} DELETE /buckets/{BUCKET}/canary: a page of https://evil.example may read 204",
        f"http {master} GET /dir/assign?collection={BUCKET}: 200",
        f"http {master} GET /dir/lookup?volumeId=1: 200",
        f"http {master} GET /col/delete?collection={BUCKET}: 20",
        f"HTTP/2 in clear text at {unsealed._ports['s3.port.grpc']}",
        f'"secretKey":  "{unsealed.secret_key}"',
    ):
        assert line in given, f"{line}\nis not in\n{given}"
    # By either method: the first one to ask may take longer than the attacker waits.
    assert re.search(rf"http {master} (GET|POST) /vol/vacuum\?garbageThreshold=0\.0001: 200", given), given
