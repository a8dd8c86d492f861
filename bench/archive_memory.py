"""Memory of a streamed archive by its size: the peak above an idle server, ours and zipstream-ng + boto3.

`python -m bench.archive_memory` takes about two minutes; `--full` goes up to 20 GB and takes four. Photos of 8 MB,
whose bytes repeat a few objects of the fast store; the client is curl, and every archive has a server of its own, warm
from a tiny one. An archive of 100,000 small photos shows what its layout takes: names, keys, ETags and the receipt, all
of which must be there before the first byte. A store that answers late, as on a busy machine, is read further ahead: up
to the window of 16 MiB. What the rows of a database take before they are entries is not included.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.archive_stage import CURL, Stage, download
from bench.measure import MIB, median, peak_rss, reset_peak, rss, verdict

PHOTO = 8_000_000
USUAL = "zipstream-ng + boto3"
SIZES = {"50 MB": 6, "500 MB": 63, "2 GB": 250}
LARGEST = {"20 GB": 2500}
MANY = "100,000 x 5 kB"
FLAT = 4
ROUNDS = 3


class Figures(NamedTuple):
    """MiB, all above idle but the last: the layout alone (ours only), the peak, and the whole process at its peak."""

    layout: float
    peak: float
    whole: float


def measure(stage: Stage, store: int, case: str, name: str) -> Figures:
    """Stream one archive from a server that has streamed only a tiny one."""
    with stage.server(case, store) as server:
        stage.check(server, "tiny")
        idle = rss(server.pid)
        reset_peak(server.pid)
        layout = 0.0
        if case == "ours":
            url = f"http://127.0.0.1:{server.port}/{name}"
            subprocess.run([*CURL, "-o", "/dev/null", "--head", url], check=True)
            layout = (rss(server.pid) - idle) / MIB
        download(server.port, name, stage.bytes[name], 0 if case == "ours" else stage.slack(name))
        peak = peak_rss(server.pid)
        return Figures(layout, (peak - idle) / MIB, peak / MIB)


def show(stage: Stage, store: int, case: str, names: list[str]) -> list[float]:
    """Print a case's medians for each set, taken in turns; the peaks above idle."""
    taken: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            taken[name].append(measure(stage, store, case, name))
    middle = {name: Figures(*map(median, zip(*figures, strict=True))) for name, figures in taken.items()}
    for name, (layout, peak, whole) in middle.items():
        of_which = f", {layout:.1f} of it the layout" if case == "ours" else ""
        print(f"  {case:22} {title(name):16} {peak:7.1f} MiB above idle{of_which}; {whole:.0f} in all", flush=True)
    return [figures.peak for figures in middle.values()]


def title(name: str) -> str:
    """The set as people read it: in an address it has no blanks."""
    return name.replace("_", " ")


def main() -> None:
    """Print all figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--full", action="store_true", help="up to 20 GB (default: 2 GB)")
    chosen = options.parse_args()
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    sizes = {**SIZES, **(LARGEST if chosen.full else {})}
    sets = {name.replace(" ", "_"): (count, PHOTO) for name, count in sizes.items()}
    many = MANY.replace(" ", "_")
    with tempfile.TemporaryDirectory(prefix="bench-archives-") as directory:
        stage = Stage(Path(directory), {**sets, many: (100_000, 5000), "tiny": (3, 1000)})
        with stage.store() as store:
            peaks = show(stage, store, "ours", [*sets])
            grown = peaks[-1] - peaks[0]
            print(f"  from the smallest to the largest: {grown:+.1f} MiB, {verdict(grown, most=FLAT)}")
            print(f"  the most of all: {max(peaks):.1f} MiB, {verdict(max(peaks), most=24)}")
            show(stage, store, USUAL, [name.replace(" ", "_") for name in SIZES])
            show(stage, store, "ours", [many])
    print(f"load {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
