"""Building a large archive into the bucket: 1, 2, 4 and 8 worker processes, and one killed on the way.

`python -m bench.build` builds 1 GB; `--gigabytes 20` or `--photos 100000` make it large. Many rows point
at few objects, so that the sources cost little space; the archive itself needs its whole size once. The peer is the
streamed form of the same archive: ranges of both are compared by SHA-256. A dead worker's lease is taken for run out
at once, where a real one is waited for up to three minutes.
"""

import argparse
import asyncio
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from zlib import crc32

import httpx2 as httpx
from sqlalchemy import delete, func, insert, select, text

from bench.measure import MIB, ROOT
from local.objectstore import ObjectStore
from local.postgres import Postgres
from safelight.archives.plan import Plan
from tests import product

RANGE = 4 * MIB


def fill(photos: int, size: int, objects: int) -> uuid.UUID:
    """A gallery whose photos share `objects` objects; its id."""
    from safelight import clock, storage
    from safelight.db.engine import transaction
    from safelight.models import Gallery, Photo, User

    with transaction() as session:
        owner = User(email="bench@example.com", password_hash="none")
        session.add(owner)
        session.flush()
        gallery = Gallery(owner_id=owner.id, title="Bench")
        session.add(gallery)
        session.flush()
        sources = []
        for number in range(objects):
            data = random.Random(number).randbytes(size)
            written = storage.storage().write(f"originals/{gallery.id}/{number}", data, "image/jpeg")
            sources.append(
                {
                    "s3_key": written.key,
                    "etag": written.etag,
                    "crc32": crc32(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
            )
        common = {"gallery_id": gallery.id, "content_type": "image/jpeg", "file_size": size, "status": "ready"}
        rows = [
            {
                "id": uuid.uuid4(),
                "filename": f"IMG_{n:06}.jpg",
                "position": n,
                "uploaded_at": clock.now(),
                **common,
                **sources[n % objects],
            }
            for n in range(photos)
        ]
        for at in range(0, photos, 1000):
            session.execute(insert(Photo), rows[at : at + 1000])
        return gallery.id


def work() -> None:
    """What one worker process does until nothing is left: `python -m bench.build --work`."""
    from safelight import storage
    from safelight.archives.worker import build_part
    from safelight.db.engine import transaction
    from safelight.jobs import queries

    chance = random.Random(os.getpid())
    # Started and connected before the clock: a function that is warm is what is measured.
    with transaction() as session:
        queries.due(session, 1)
    storage.storage()
    storage.multipart()
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        with transaction() as session:
            due = queries.due(session, 64)
        if not due:
            return
        build_part(chance.choice(due)[0])


def build(gallery_id: uuid.UUID, workers: int, part_size: int, *, kill: bool = False) -> float:
    """Seconds from asking for the archive until it is ready."""
    from safelight import storage
    from safelight.archives import build as builder
    from safelight.archives.manifest import archive_key
    from safelight.db import driver
    from safelight.db.engine import transaction
    from safelight.models import Archive, Job
    from safelight.queue import Queue

    planned = plan_of(gallery_id)
    storage.storage().delete([archive_key(planned.digest)])
    with transaction() as session:
        session.execute(delete(Archive))
        session.execute(delete(Job))
    running = start(workers)
    begun = time.perf_counter()
    with transaction() as session:
        builder.request(session, storage.light_store(), storage.multipart(), Queue(), gallery_id, planned, part_size)
    for process in running:
        go(process)
    if kill:
        while not running_jobs():
            time.sleep(0.02)
        time.sleep(0.1)
        running[0].kill()
    for process in running:
        process.wait()
    while status() != "ready":
        with transaction() as session:
            session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE status = 'running'"))
            session.execute(text("UPDATE jobs SET run_after = now() WHERE status = 'queued'"))
        [process] = start(1)
        go(process)
        process.wait()
    driver.close()
    return time.perf_counter() - begun


def start(count: int) -> list[subprocess.Popen[bytes]]:
    """So many worker processes, ready to begin."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/core")])}
    command = [sys.executable, "-m", "bench.build", "--work"]
    made = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    for process in made:
        assert process.stdout is not None
        process.stdout.readline()
    return made


def go(process: subprocess.Popen[bytes]) -> None:
    """Let it begin."""
    assert process.stdin is not None
    process.stdin.close()


def status() -> str | None:
    """Where the archive stands. Raises RuntimeError when it failed."""
    from safelight.db.engine import transaction
    from safelight.models import Archive

    with transaction() as session:
        found = session.scalar(select(Archive.status))
    if found == "failed":
        raise RuntimeError("the archive could not be built")
    return found


def running_jobs() -> int:
    """How many parts are being brought."""
    from safelight.db.engine import transaction
    from safelight.models import Job

    with transaction() as session:
        return session.scalar(select(func.count()).where(Job.status == "running")) or 0


def plan_of(gallery_id: uuid.UUID) -> Plan:
    """The archive as every request plans it."""
    from safelight.archives.service import plan_gallery
    from safelight.db import driver

    with driver.connection() as connection:
        return plan_gallery(connection, gallery_id, "original")


def compare(gallery_id: uuid.UUID, ranges: int) -> tuple[int, bool]:
    """How many ranges were compared with the streamed form, and whether all are the same."""
    from safelight import storage
    from safelight.archives.manifest import archive_key
    from safelight.archives.worker import read_range

    planned = plan_of(gallery_id)
    chance = random.Random(1)
    last = max(planned.size - RANGE, 0)
    starts = [0, last, *(chance.randrange(last + 1) for _ in range(ranges))]
    same = True
    for start in starts:
        stop = min(start + RANGE, planned.size)
        url = storage.signer().get_urls(600)(archive_key(planned.digest))
        answer = httpx.get(url, headers={"Range": f"bytes={start}-{stop - 1}"}, timeout=60)
        built = hashlib.sha256(answer.content).digest()
        same &= built == hashlib.sha256(asyncio.run(read_range(planned, start, stop))).digest()
    return len(starts), same


def main() -> None:
    """Print how long 1, 2, 4 and 8 workers take, and whether what they made is what would have been streamed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the archive")
    parser.add_argument("--objects", type=int, default=20, help="how many objects the photos share")
    parser.add_argument("--part", type=int, default=64, help="MiB of a part")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--ranges", type=int, default=16, help="random ranges to compare")
    options = parser.parse_args()
    if options.work:
        return work()
    with tempfile.TemporaryDirectory() as directory:
        store = ObjectStore(Path(directory, "store"), "BENCHKEY", "bench-secret-of-this-run")
        with Postgres(Path(directory, "postgres"), None, "bench", durable=False) as server, store:
            store.create_bucket("bench")
            with product.configured(product.environment(server.create("bench"), "bench", store)):
                product.migrate()
                size = int(options.gigabytes * 1e9 / options.photos)
                gallery = fill(options.photos, size, options.objects)
                begun = time.perf_counter()
                planned = plan_of(gallery)
                print(f"{options.photos:,} photos, {planned.size / 1e9:.2f} GB, load {os.getloadavg()[0]:.1f}, "
                      f"{os.cpu_count()} cores; planned in {time.perf_counter() - begun:.2f} s")  # fmt: skip
                first = None
                for workers in options.workers:
                    seconds = build(gallery, workers, options.part * MIB)
                    first = first or seconds
                    report(f"{workers} workers", planned.size, seconds, first, compare(gallery, options.ranges))
                workers = options.workers[-1]
                seconds = build(gallery, workers, options.part * MIB, kill=True)
                killed = compare(gallery, options.ranges)
                report(f"{workers} workers, one killed", planned.size, seconds, first or seconds, killed)
    return None


def report(case: str, size: int, seconds: float, first: float, compared: tuple[int, bool]) -> None:
    """One line."""
    same = "identical" if compared[1] else "DIFFERENT"
    print(f"  {case}: {seconds:.1f} s, {size / seconds / 1e6:.0f} MB/s, {first / seconds:.2f} x the first; "
          f"{compared[0]} ranges {same}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
