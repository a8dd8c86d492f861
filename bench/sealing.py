"""What sealing the embedded store costs a ZIP: the product's answer over the store without its seal, and sealed.

`python -m bench.sealing` streams archives of large and of small photos to curl. The stores and servers run side by
side and are used in turns. Figures are medians of the ratios of each round to its peer of the same round.
"""

import argparse
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from bench.archive_sets import Photos, save
from bench.archive_stage import Server, Stage, download
from bench.measure import MIB, cpu_seconds, median
from local import sealcheck, storeports, storesettings
from local.objectstore import ObjectStore
from tests.local.unsealed import UnsealedStore

PEER = "unsealed, TCP"
SETS = {"large": (60, 8 * MIB), "small": (400, 100 * 1024)}


class MixedStore(ObjectStore):
    """The variant that decision 0010 weighs: the volume server's port is clear text, with tokens."""

    def start(self, *, seconds: float = 60.0, s3: bool = True) -> ObjectStore:
        """As the sealed one, with other settings, and without the check of the port that they leave open."""
        settings, sealed = storesettings.settings, storeports.sealed

        def mixed(folder: Path) -> str:
            return re.sub(r"(?s)\[https\.(volume|client)\].*?(?=\n\[|\Z)", "", settings(folder))

        def without_volume(ports: Mapping[str, int], *, s3: bool) -> list[sealcheck.Endpoint]:
            return [endpoint for endpoint in sealed(ports, s3=s3) if endpoint != ports["volume.port"]]

        with (
            mock.patch.object(storesettings, "settings", mixed),
            mock.patch.object(storeports, "sealed", without_volume),
            mock.patch.object(sealcheck.SealCheck, "unknown", return_value=[]),
        ):
            return super().start(seconds=seconds, s3=s3)


def fill(store: ObjectStore, stage: Stage) -> None:
    """Put the photos of every set into the store, whose ETags are their MD5."""
    store.create_bucket("bucket")
    client = store.client()
    for name, photos in stage.sets.items():
        kinds = []
        for key, crc, _ in photos.kinds:
            etag = client.put_object(Bucket="bucket", Key=key, Body=(stage.bucket / key).read_bytes())["ETag"]
            kinds.append((key, crc, etag))
        stage.sets[name] = Photos(photos.count, photos.size, kinds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="safelight-sealing-")))
        stage = Stage(directory, SETS)
        keys = "BENCHKEY", secrets.token_hex(20)
        unsealed = stack.enter_context(UnsealedStore(directory / "unsealed", *keys))
        sealed = stack.enter_context(ObjectStore(directory / "sealed", *keys))
        mixed = stack.enter_context(MixedStore(directory / "mixed", *keys))
        for store in (unsealed, sealed, mixed):
            fill(store, stage)
        save(stage.sets, directory / "sets.json")
        cases = {
            PEER: (unsealed, None),
            "unsealed, Unix socket": (unsealed, Path(f"/tmp/seaweedfs-s3-{unsealed.endpoint.rpartition(':')[2]}.sock")),
            "sealed, TCP": (sealed, None),
            "sealed, Unix socket": (sealed, sealed.socket),
            "mixed, TCP": (mixed, None),
            "mixed, Unix socket": (mixed, mixed.socket),
        }
        servers: dict[str, tuple[Server, ObjectStore]] = {}
        for case, (store, socket) in cases.items():
            settings = {"ACCESS_KEY": keys[0], "SECRET_KEY": keys[1]} | ({"SOCKET": str(socket)} if socket else {})
            port = int(store.endpoint.rpartition(":")[2])
            servers[case] = stack.enter_context(stage.server("ours", port, settings)), store
        for name in SETS:
            compare(stage, name, servers, rounds)


def compare(stage: Stage, name: str, servers: dict[str, tuple[Server, ObjectStore]], rounds: int) -> None:
    """One set: throughput, and the CPU of the store, of the server and of both, as ratios to the peer."""
    figures: dict[str, list[tuple[float, float, float]]] = {case: [] for case in servers}
    for turn in range(rounds + 1):
        order = list(servers)[turn % len(servers) :] + list(servers)[: turn % len(servers)]
        for case in order:
            server, store = servers[case]
            assert store.pid is not None
            before = cpu_seconds(store.pid), cpu_seconds(server.pid)
            seconds = download(server.port, name, stage.bytes[name])
            spent = cpu_seconds(store.pid) - before[0], cpu_seconds(server.pid) - before[1]
            if turn:  # the first warms up
                figures[case].append((stage.bytes[name] / seconds / 1e6, *spent))
    print(f"{name}: {stage.bytes[name] / 1e6:.0f} MB")
    for case, rows in figures.items():
        speed, store_cpu, server_cpu = (median([row[n] for row in rows]) for n in range(3))
        ratios = [
            median([pick(row) / pick(peer) for row, peer in zip(rows, figures[PEER], strict=True)])
            for pick in (lambda r: r[0], lambda r: r[1], lambda r: r[2], lambda r: r[1] + r[2])
        ]
        print(
            f"  {case:20} {speed:6.0f} MB/s ({ratios[0]:.2f}x)  CPU: store {store_cpu:.2f} s ({ratios[1]:.2f}x), "
            f"server {server_cpu:.2f} s ({ratios[2]:.2f}x), both ({ratios[3]:.2f}x)"
        )


if __name__ == "__main__":
    main()
