"""Archives streamed from a store: ours, the usual way (zipstream-ng + boto3), and a direct download of the same bytes.

`python -m bench.archives` takes about two minutes; `--full` uses the sizes of the budgets. All cases of a comparison
run in turns in one run; figures are medians. nginx serves the objects (it is far faster than any store, so the server
is what limits), and a store with the latency of S3 (30 ms to the first byte, 80 MB/s a connection) the second part.
The client is curl for all.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zlib import crc32

from bench.measure import (
    MIB,
    cpu_seconds,
    free_port,
    interleaved,
    median,
    peak_rss,
    reset_peak,
    rss,
    running,
    verdict,
)
from safelight.archives.plan import Entry, Literal, plan

DISTINCT = 12  # objects on disk per set; more entries repeat them, all of it is in the page cache either way
NGINX = """
daemon off; master_process on; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen 127.0.0.1:{port} backlog=512; root {directory}/root; }}
}}
"""


class Bench:
    """The servers of one run and what is measured on them."""

    def __init__(self, directory: Path, sets: dict[str, tuple[int, int]]) -> None:
        self.directory = directory
        self.entries = {name: self._objects(name, count, size) for name, (count, size) in sets.items()}
        self.bytes = {name: plan(entries).size for name, entries in self.entries.items()}
        self.files = directory / "files.json"
        self.files.write_text(json.dumps(self.entries))
        self.log = directory / "servers.log"

    def _objects(self, name: str, count: int, size: int) -> list[Entry]:
        folder = self.directory / "root/bucket" / name
        folder.mkdir(parents=True)
        kinds = []
        for number in range(min(DISTINCT, count)):
            data, path = os.urandom(size), folder / f"{number}.jpg"
            path.write_bytes(data)
            etag = f'"{int(path.stat().st_mtime):x}-{size:x}"'  # as nginx makes it
            kinds.append((f"{name}/{number}.jpg", crc32(data), etag))
        entries = []
        for number in range(count):
            key, crc, etag = kinds[number % len(kinds)]
            entries.append(Entry(f"IMG_{number:04}.jpg", size, crc, 1_700_000_000, key, etag))
        return entries

    def write_archive(self, name: str) -> None:
        """The same bytes as one file, for the direct download."""
        with (self.directory / "root" / f"{name}.zip").open("wb") as out:
            for piece in plan(self.entries[name]).read():
                if isinstance(piece, Literal):
                    out.write(piece.data)
                else:
                    with (self.directory / "root/bucket" / piece.entry.key).open("rb") as source:
                        shutil.copyfileobj(source, out, MIB)

    @contextlib.contextmanager
    def nginx(self) -> Iterator[int]:
        """The fast store."""
        port = free_port()
        config = self.directory / "nginx.conf"
        text = NGINX.format(directory=self.directory, port=port)
        config.write_text(("user root;" if os.getuid() == 0 else "") + text)
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        with running([program, "-p", str(self.directory), "-c", str(config)], port, self.log):
            yield port

    @contextlib.contextmanager
    def server(self, name: str, store: int) -> Iterator[tuple[int, int]]:
        """One of `bench.archive_servers`: its port and process id."""
        port = free_port()
        environment = {
            "PORT": str(port), "STORE": f"http://127.0.0.1:{store}", "FILES": str(self.files),
            "ROOT": str(self.directory / "root"),
        }  # fmt: skip
        with running([sys.executable, "-m", "bench.archive_servers", name], port, self.log, environment) as process:
            yield port, process.pid


def download(port: int, path: str, expected: int, slack: int = 0) -> float:
    """Seconds that curl takes for a whole download. Raises RuntimeError when it is not whole.

    `slack`: another layout of the same members may differ by that many bytes.
    """
    form = "%{time_total} %{size_download} %{http_code}"
    command = ["curl", "-s", "-S", "-f", "-o", "/dev/null", "-w", form, f"http://127.0.0.1:{port}/{path}"]
    seconds, size, status = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if abs(int(size) - expected) > slack or status != "200":
        raise RuntimeError(f"{path}: {size} of {expected} bytes, status {status}")
    return float(seconds)


def download_parallel(port: int, keys: list[str], connections: int) -> float:
    """Seconds for all objects straight from the store over many connections."""
    command = ["curl", "-s", "-S", "-f", "-Z", "--parallel-immediate", "--parallel-max", str(connections)]
    for key in keys:
        command += ["-o", "/dev/null", f"http://127.0.0.1:{port}/bucket/{key}"]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


type Server = tuple[int, int]
"""Port and process id."""


def fast_store(bench: Bench, rounds: int) -> None:
    """A store that is never the limit."""
    with bench.nginx() as store, bench.server("planned", store) as ours, bench.server("naive", store) as usual:
        download(ours[0], "tiny", bench.bytes["tiny"])
        idle = rss(ours[1])
        for name in ("large", "small"):
            bench.write_archive(name)
            compare_fast(bench, name, store, {"ours": ours, "usual": usual}, rounds if name == "large" else rounds * 3)
        memory(ours, idle)


def compare_fast(bench: Bench, name: str, store: int, servers: dict[str, Server], rounds: int) -> None:
    """Time and CPU of one set, each case against the direct download."""
    size, entries = bench.bytes[name], bench.entries[name]
    spent: dict[str, list[float]] = {case: [] for case in servers}

    def timed(case: str) -> float:
        port, pid = servers[case]
        before = cpu_seconds(pid)
        seconds = download(port, name, size, slack=len(entries) * 64)
        spent[case].append(cpu_seconds(pid) - before)
        return seconds

    cases = {case: partial(timed, case) for case in servers}
    times = interleaved({"direct": partial(download, store, f"{name}.zip", size), **cases}, rounds)
    direct, mine = median(times["direct"]), median(times["ours"])
    print(f"\nfast store, {len(entries)} x {entries[0].size / 1e6:g} MB")
    for case, title in (("direct", "direct"), ("ours", "ours"), ("usual", "zipstream-ng + boto3")):
        seconds = median(times[case])
        speed = size / seconds / 1e6
        print(f"  {title:22} {seconds * 1000:9.1f} ms {speed:8.0f} MB/s   {direct / seconds:5.2f} of direct")
    if name == "large":
        print(f"  speed over direct: {verdict(direct / mine, least=0.65)}")
    else:
        print(f"  time over direct: {mine / direct:.2f}, {verdict(mine / direct, most=2.5)}")
    ours, usual = (median(spent[case][1:]) / size * 1e9 for case in ("ours", "usual"))
    less = verdict(usual / ours, least=7)
    print(f"  server CPU s per GB: ours {ours:.2f}, usual {usual:.2f}: 1/{usual / ours:.1f}, {less}")


def memory(server: Server, idle: int) -> None:
    """Peak memory above an idle server, with one client and with eight, and of eight that read slowly."""
    port, pid = server
    for clients, limit in ((1, None), (8, None), (8, "20M")):
        reset_peak(pid)
        command = ["curl", "-s", "-o", "/dev/null", *(["--limit-rate", limit] if limit else [])]
        processes = [subprocess.Popen([*command, "-m", "6", f"http://127.0.0.1:{port}/large"]) for _ in range(clients)]
        for process in processes:
            process.wait()
        above = (peak_rss(pid) - idle) / MIB
        slow = ", 20 MB/s each" if limit else ""
        print(f"  RSS above idle, {clients} client(s){slow}: {above:.1f} MiB, {verdict(above, most=24)}")


def distant_store(bench: Bench, rounds: int) -> None:
    """A store that takes 30 ms to answer and gives 80 MB/s to a connection."""
    with (
        bench.server("distant_store", 0) as (store, _),
        bench.server("planned", store) as ours,
        bench.server("naive", store) as usual,
    ):
        for name, connections in (("medium", 32), ("small", 50)):
            size, entries = bench.bytes[name], bench.entries[name]
            keys = [entry.key for entry in entries]
            times = interleaved(
                {
                    "direct": partial(download_parallel, store, keys, connections),
                    "ours": partial(download, ours[0], name, size),
                    "usual": partial(download, usual[0], name, size, slack=len(keys) * 64),
                },
                max(rounds // 2, 2) if name == "medium" else rounds,
            )
            print(f"\nstore like S3, {len(keys)} x {entries[0].size / 1e6:g} MB")
            titles = {"direct": f"direct, {connections} conn.", "ours": "ours", "usual": "zipstream-ng + boto3"}
            for case, title in titles.items():
                seconds = median(times[case])
                print(f"  {title:22} {seconds * 1000:9.1f} ms {size / seconds / 1e6:8.0f} MB/s")
            speed = size / median(times["ours"]) / 1e6
            gain = median(times["usual"]) / median(times["ours"])
            meets = verdict(speed, least=400) if name == "medium" else verdict(gain, least=20)
            print(f"  {gain:.1f} x zipstream-ng + boto3, {speed:.0f} MB/s: {meets}")


def main() -> None:
    """Print all figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--full", action="store_true", help="300 x 8 MB, as in the budgets (default: 100 x 8 MB)")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    large = 300 if chosen.full else 100
    sets = {"large": (large, 8_000_000), "medium": (60, 8_000_000), "small": (50, 200_000), "tiny": (1, 1000)}
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {chosen.rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="bench-archives-") as directory:
        bench = Bench(Path(directory), sets)
        fast_store(bench, chosen.rounds)
        distant_store(bench, chosen.rounds)
    print(f"load {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
