"""Building a large archive into the bucket: 1, 2, 4 and 8 worker processes, and one killed on the way.

    python -m bench.build                                    the tables of 1 to 8 workers, 2 GB, twice
    python -m bench.build --once --gigabytes 20 --photos 100000    one archive by 8 workers, one of them killed

The first table is of the embedded store. It shares this machine's processors with the workers and needs more of them
than anybody else, so two peers are measured beside each case, on as many connections: ready bytes uploaded in the same
parts (nothing that writes this store can be faster), and the same bytes read and uploaded without an archive in
between. The second table is of a store as far away as S3 (`bench.distant`), which has bandwidth for everybody. Many
photos share few objects, so that the sources cost little space; every archive has a bucket of its own, removed when it
was checked. What was built is compared with the streamed form and read by programs that are not ours.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from bench import build_check, build_peer
from bench.build_jobs import Built, Sources, build, plan_of
from bench.measure import MIB, cpu_seconds, free_port, running
from local.objectstore import ObjectStore
from local.postgres import Postgres
from safelight.archives.build import part_size
from safelight.archives.plan import Plan
from tests import product


@dataclass
class Bench:
    """One database, the gallery in it, and where scratch files go."""

    database: str
    directory: Path
    photos: int
    size: int
    objects: int
    smallest: int
    ranges: int

    def begin(self, store: ObjectStore) -> None:
        """Make the gallery."""
        self.variables = product.environment(self.database, "none", store)
        with product.configured(self.variables):
            product.migrate()
            self.sources = Sources().make(self.objects, self.size // self.photos)
            self.sources.gallery_of(self.photos)
            begun = time.perf_counter()
            self.planned: Plan = plan_of(self.sources.gallery)
            self.part = part_size(self.planned.size, self.smallest)
            print(
                f"{self.photos:,} photos, {self.planned.size / 1e9:.2f} GB, {-(-self.planned.size // self.part)} parts "
                f"of {self.part // MIB} MiB, planned in {time.perf_counter() - begun:.2f} s; {os.cpu_count()} cores, "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )

    @contextmanager
    def bucket(self, store: ObjectStore, name: str) -> Iterator[None]:
        """A bucket with the sources in it, removed with all that it holds: its space is free again at once."""
        store.create_bucket(name)
        with product.configured(product.environment(self.database, name, store)):
            from safelight import storage

            for key, data in self.sources.objects.items():
                storage.storage().write(key, data, "image/jpeg")
            yield
        store.remove_bucket(name)

    def build(self, workers: int, *, kill: bool = False) -> Built:
        """The archive, in the bucket that is configured."""
        return build(self.sources, self.planned, workers, self.smallest, kill=kill)

    def check(self) -> str:
        """What the checks found. Raises RuntimeError."""
        return build_check.check(self.planned, self.part, self.ranges, self.directory)

    def peer(self, connections: int, *, copy: bool) -> float:
        """Seconds of a peer."""
        keys = list(self.sources.objects) if copy else []
        return build_peer.run(connections, self.planned.size, self.part, keys)


def embedded(bench: Bench, store: ObjectStore, workers: list[int]) -> None:
    """The table of the store that runs on this machine."""
    print("\nembedded store, on the same processors; MB/s, ratios to the peers of the same line, CPU seconds per GB")
    print("workers   ours  speed-up | upload alone  ratio | read + upload  ratio | CPU: ours  store | store for upload")
    gigabytes, first, found = bench.planned.size / 1e9, 0.0, ""
    for count in workers:
        with bench.bucket(store, f"bench-{count}"):
            spent = cpu_seconds(store.pid or 0)
            built = bench.build(count)
            spent = cpu_seconds(store.pid or 0) - spent
            found = bench.check()
        with bench.bucket(store, f"bench-upload-{count}"):
            alone = cpu_seconds(store.pid or 0)
            upload = bench.peer(count, copy=False)
            alone = cpu_seconds(store.pid or 0) - alone
        with bench.bucket(store, f"bench-copy-{count}"):
            copy = bench.peer(count, copy=True)
        first = first or built.seconds
        mb = gigabytes * 1000
        print(
            f"{count:7} {mb / built.seconds:6.0f} {first / built.seconds:9.2f} | {mb / upload:12.0f} "
            f"{upload / built.seconds:6.2f} | {mb / copy:13.0f} {copy / built.seconds:6.2f} | "
            f"{built.cpu / gigabytes:9.2f} {spent / gigabytes:6.2f} | {alone / gigabytes:16.2f}",
            flush=True,
        )
    print(f"every one: {found}")


def distant(bench: Bench, workers: list[int]) -> None:
    """The table of a store that is far away and limits nobody but each connection."""
    print("\nstore with 30 ms to an answer and 80 MB/s for each connection; MB/s, CPU seconds per GB")
    print("workers   ours  speed-up | upload alone  ratio | CPU: ours | largest worker")
    root, port, first = bench.directory / "distant", free_port(), 0.0
    gigabytes = bench.planned.size / 1e9
    for key, data in bench.sources.objects.items():
        file = root / "bench" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    command = [sys.executable, "-m", "bench.distant", str(port), str(root)]
    address = f"http://127.0.0.1:{port}"
    configured = product.configured({**bench.variables, "BUCKET": "bench", "S3_ENDPOINT": address, "S3_SOCKET": ""})
    with running(command, port, bench.directory / "distant.log"), configured:
        for count in workers:
            _received(address)
            built = bench.build(count)
            if _received(address) < bench.planned.size:
                raise RuntimeError("not all parts arrived")
            upload = bench.peer(count, copy=False)
            first = first or built.seconds
            mb = gigabytes * 1000
            print(
                f"{count:7} {mb / built.seconds:6.0f} {first / built.seconds:9.2f} | {mb / upload:12.0f} "
                f"{upload / built.seconds:6.2f} | {built.cpu / gigabytes:9.2f} | {built.memory / MIB:10.0f} MiB",
                flush=True,
            )


def once(bench: Bench, store: ObjectStore, workers: int) -> None:
    """One archive, one worker killed in the middle of a part."""
    with bench.bucket(store, "bench-once"):
        built = bench.build(workers, kill=True)
        print(
            f"\n{workers} workers, one {built.killed}: {built.seconds:.1f} s, "
            f"{bench.planned.size / built.seconds / 1e6:.0f} MB/s, "
            f"{built.cpu / bench.planned.size * 1e9:.2f} CPU s per GB, largest worker {built.memory / MIB:.0f} MiB",
            flush=True,
        )
        from safelight import storage

        left = list(storage.multipart().uploads("archives/"))
        objects = [key for key in storage.storage().keys("archives/") if key.endswith(".zip")]
        if left or len(objects) != 1:
            raise RuntimeError(f"{len(objects)} objects, {len(left)} uploads left over")
        print(f"  one object, no upload left over; {bench.check()}")


def _received(address: str) -> int:
    with urlopen(f"{address}/received") as answer:
        return int(answer.read())


def main() -> None:
    """Print the tables, or build one archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the archive")
    parser.add_argument("--objects", type=int, default=20, help="how many objects the photos share")
    parser.add_argument("--part", type=int, default=64, help="MiB of a part, at least")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--ranges", type=int, default=16, help="random ranges, seams and members to compare")
    parser.add_argument("--once", action="store_true", help="no tables: one archive by the most workers, one killed")
    parser.add_argument("--no-distant", action="store_true", help="without the second table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-build-") as scratch:
        directory = Path(scratch)
        store = ObjectStore(directory / "store", "BENCHKEY", "bench-secret-of-this-run")
        with Postgres(directory / "postgres", None, "bench", durable=False) as server, store:
            bench = Bench(
                server.create("bench"), directory, options.photos, int(options.gigabytes * 1e9), options.objects,
                options.part * MIB, options.ranges,
            )  # fmt: skip
            bench.begin(store)
            if not options.once:
                embedded(bench, store, options.workers)
            once(bench, store, options.workers[-1])
            if not (options.once or options.no_distant):
                distant(bench, options.workers)


if __name__ == "__main__":
    main()
