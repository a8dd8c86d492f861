"""What sealing the embedded store costs a ZIP: the product's answer over the store without its seal, and sealed.

`python -m bench.sealing` streams archives of large and of small photos to curl. The stores and servers run side by
side and are used in turns. Figures are medians of the ratios of each round to its peer of the same round.
"""

import argparse
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from bench.archive_sets import Photos, save
from bench.archive_stage import Server, Stage, download
from bench.measure import MIB, cpu_seconds, median
from local import sealcheck, storesettings
from local.objectstore import ObjectStore
from tests.local.unsealed import UnsealedStore

PEER = "unsealed, TCP"
SETS = {"large": (60, 8 * MIB), "small": (400, 100 * 1024)}


class VolumeStore(ObjectStore):
    """The variant that decision 0010 rejects: mutual TLS on the volume server's port, too."""

    def start(self, *, seconds: float = 60.0, s3: bool = True) -> ObjectStore:
        """As the sealed one, with other settings, and without the check that knows this port with tokens."""
        settings = storesettings.settings

        def more(folder: Path) -> str:
            ca, cert, key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
            lines = f'cert = "{cert}"\nkey = "{key}"\nca = "{ca}"\n'
            return f"{settings(folder)}[https.client]\nenabled = true\n{lines}[https.volume]\n{lines}"

        with (
            mock.patch.object(storesettings, "settings", more),
            mock.patch.object(sealcheck, "demands_token", return_value=True),
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
        volume = stack.enter_context(VolumeStore(directory / "volume", *keys))
        for store in (unsealed, sealed, volume):
            fill(store, stage)
        save(stage.sets, directory / "sets.json")
        cases = {
            PEER: (unsealed, None),
            "unsealed, Unix socket": (unsealed, Path(f"/tmp/seaweedfs-s3-{unsealed.endpoint.rpartition(':')[2]}.sock")),
            "sealed, TCP": (sealed, None),
            "sealed, Unix socket": (sealed, sealed.socket),
            "TLS for volumes, TCP": (volume, None),
            "TLS for volumes, Unix socket": (volume, volume.socket),
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
        pairs = list(zip(rows, figures[PEER], strict=True))
        ratios = [median([row[n] / peer[n] for row, peer in pairs]) for n in range(3)]
        ratios.append(median([sum(row[1:]) / sum(peer[1:]) for row, peer in pairs]))
        print(
            f"  {case:28} {speed:6.0f} MB/s ({ratios[0]:.2f}x)  CPU: store {store_cpu:.2f} s ({ratios[1]:.2f}x), "
            f"server {server_cpu:.2f} s ({ratios[2]:.2f}x), both ({ratios[3]:.2f}x)"
        )


if __name__ == "__main__":
    main()
