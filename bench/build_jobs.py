"""The gallery that `bench.build` makes an archive of, and the worker processes that bring its parts.

`python -m bench.build_jobs` is one worker: it says "ready", waits for its standard input to close, then does what is
due until nothing is, naming each job as it takes it, and ends by telling its own CPU time and memory.
"""

import datetime as dt
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from sqlalchemy import delete, func, insert, select, update

from bench.measure import ROOT, reset_peak
from safelight.archives.plan import Plan

PROGRESS_SECONDS = 10


@dataclass
class Sources:
    """The few objects that all photos share: key and bytes."""

    objects: dict[str, bytes] = field(default_factory=dict)
    gallery: uuid.UUID = field(default_factory=uuid.uuid4)

    def make(self, count: int, size: int) -> "Sources":
        """`count` objects of `size` bytes; noise, as a JPEG is."""
        for number in range(count):
            self.objects[f"originals/{self.gallery}/{number}"] = random.Random(number).randbytes(size)
        return self

    def gallery_of(self, photos: int) -> None:
        """Rows for so many photos."""
        from safelight import clock
        from safelight.db.engine import transaction
        from safelight.models import Gallery, Photo, User

        known = [
            {
                "s3_key": key,
                "etag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"',
                "crc32": crc32(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "file_size": len(data),
            }
            for key, data in self.objects.items()
        ]
        with transaction() as session:
            owner = User(email="bench@example.com", password_hash="none")
            session.add(owner)
            session.flush()
            session.add(Gallery(id=self.gallery, owner_id=owner.id, title="Bench"))
            session.flush()
            common = {"gallery_id": self.gallery, "content_type": "image/jpeg", "status": "ready"}
            for at in range(0, photos, 5000):
                rows = [
                    {
                        "id": uuid.uuid4(),
                        "filename": f"IMG_{n:06}.jpg",
                        "position": n,
                        "uploaded_at": clock.now(),
                        **common,
                        **known[n % len(known)],
                    }
                    for n in range(at, min(at + 5000, photos))
                ]
                session.execute(insert(Photo), rows)


@dataclass
class Built:
    """What a build took: wall clock and workers' CPU in seconds, the largest worker in bytes, and whom it lost."""

    seconds: float
    cpu: float
    memory: int
    killed: str = ""


def plan_of(gallery: uuid.UUID) -> Plan:
    """The archive as every request plans it."""
    from safelight.archives.service import plan_gallery
    from safelight.db import driver

    with driver.connection() as connection:
        return plan_gallery(connection, gallery, "original")


def build(sources: Sources, planned: Plan, workers: int, part_size: int, *, kill: bool = False) -> Built:
    """Ask for the archive, let `workers` processes bring it, and wait until it is ready.

    With `kill` one of them gets SIGKILL in the middle of a part; its lease is then taken for run out at once, where a
    real one is waited for up to three minutes.
    """
    from safelight import storage
    from safelight.archives import build as builder
    from safelight.db.engine import transaction
    from safelight.models import Archive, Job
    from safelight.queue import Queue

    with transaction() as session:
        session.execute(delete(Archive))
        session.execute(delete(Job))
    running = _start(workers)
    begun = time.perf_counter()
    with transaction() as session:
        builder.request(
            session, storage.light_store(), storage.multipart(), Queue(), sources.gallery, planned, part_size
        )
    for process in running:
        _go(process)
    try:
        killed = _kill(running.pop(0)) if kill else ""
        told = _watch(running, begun)
        while (stands := _status()) != "ready":
            if stands == "failed":
                raise RuntimeError("the archive could not be built")
            with transaction() as session:
                session.execute(update(Job).where(Job.status == "queued").values(run_after=func.now()))
            running = _start(1)
            _go(running[0])
            told += _watch(running, begun)
    finally:
        for process in running:
            process.kill()
            process.wait()
    seconds = time.perf_counter() - begun
    return Built(seconds, sum(one["cpu"] for one in told), max(one["memory"] for one in told), killed)


def _start(count: int) -> list[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/core")])}
    command = [sys.executable, "-m", "bench.build_jobs"]
    made = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    for process in made:
        assert process.stdout is not None
        process.stdout.readline()
    return made


def _go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def _kill(victim: subprocess.Popen[bytes]) -> str:
    """End it on the way with a part; what it had in hand."""
    from safelight.db.engine import transaction
    from safelight.models import Job

    assert victim.stdout is not None
    job_id = uuid.UUID(victim.stdout.readline().decode().strip())
    while victim.poll() is None and _job(job_id) == "queued":
        time.sleep(0.01)
    time.sleep(0.1)
    victim.kill()
    said = victim.stdout.read().split()
    victim.wait()
    victim.stdout.close()
    job_id = uuid.UUID(said[-1].decode()) if said else job_id
    held = _job(job_id) == "running"
    with transaction() as session:
        late = func.now() - dt.timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == job_id, Job.status == "running").values(lease_until=late))
    return "killed in the middle of a part" if held else "killed between two parts"


def _job(job_id: uuid.UUID) -> str | None:
    from safelight.db.engine import transaction
    from safelight.models import Job

    with transaction() as session:
        return session.scalar(select(Job.status).where(Job.id == job_id))


def _watch(running: list[subprocess.Popen[bytes]], begun: float) -> list[dict[str, Any]]:
    """Wait for them, telling how far it is; what they told at their end."""
    said = time.perf_counter()
    while any(process.poll() is None for process in running):
        time.sleep(0.02)
        if time.perf_counter() - said > PROGRESS_SECONDS:
            said = time.perf_counter()
            print(f"    {_parts():,} parts after {said - begun:.0f} s", flush=True)
    told = []
    for process in running:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        process.stdout.close()
        if process.returncode:
            raise RuntimeError(f"a worker ended with {process.returncode}")
        told.append(json.loads(lines[-1]))
    return told


def _status() -> str | None:
    from safelight.db.engine import transaction
    from safelight.models import Archive

    with transaction() as session:
        return session.scalar(select(Archive.status))


def _parts() -> int:
    from safelight.db.engine import transaction
    from safelight.models import ArchivePart

    with transaction() as session:
        return session.scalar(select(func.count()).select_from(ArchivePart)) or 0


def work() -> None:
    """One worker."""
    from safelight import storage
    from safelight.db.engine import transaction
    from safelight.jobs import queries
    from tests.claims import build_part

    chance = random.Random(os.getpid())
    # Started and connected before the clock: a function that is warm is what is measured.
    with transaction() as session:
        queries.due(session, 1)
    storage.storage()
    storage.multipart()
    print("ready", flush=True)
    sys.stdin.readline()
    reset_peak(os.getpid())
    spent = _cpu()
    while True:
        with transaction() as session:
            due = queries.due(session, 64)
        if not due:
            break
        job_id = chance.choice(due)[0]
        print(job_id, flush=True)
        build_part(job_id)
    from bench.measure import peak_rss

    print(json.dumps({"cpu": _cpu() - spent, "memory": peak_rss(os.getpid())}), flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    work()
